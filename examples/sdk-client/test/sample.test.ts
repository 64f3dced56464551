import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startExecutor } from "@strait/example-support/executor";
import { createProject } from "@strait/example-support/project";
import type { RunningServer } from "@strait/example-support/server";
import { startTemporaryServer } from "@strait/example-support/temporary-server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";

const SAMPLE = fileURLToPath(new URL("../src/sample.ts", import.meta.url));
const REDIRECT = fileURLToPath(new URL("./redirect.ts", import.meta.url));
/** The guide's text, kept here so that the test needs nothing beside the repository. */
const COPY = fileURLToPath(new URL("../guide/sample.txt", import.meta.url));

/** The page that the copy comes from, which stands beside the repository where it is developed: elsewhere there is nothing to compare. */
const GUIDE = fileURLToPath(new URL("../../../../shared/seeds/000_697c32fce012605c.txt", import.meta.url));

const linesOf = (path: string) => readFileSync(path, "utf8").trimEnd().split("\n");

describe("the sample of the guide", () => {
  test("ST-21 stands between the markers, line for line", () => {
    const source = linesOf(SAMPLE);

    const between = source.slice(source.indexOf("// sample: begin") + 1, source.indexOf("// sample: end"));

    expect(between).toEqual(linesOf(COPY));
  });

  test.skipIf(!existsSync(GUIDE))("ST-21 is that of the guide, whose copy has not changed", () => {
    const guide = readFileSync(GUIDE, "utf8");

    const [, sample] = /\n(import \{ createClient \}.*?\/\/ "received")/s.exec(guide) ?? [];

    expect(sample?.split("\n")).toEqual(linesOf(COPY));
  });
});

describe("the sample against a server", () => {
  let server: RunningServer;
  beforeAll(async () => {
    server = await startTemporaryServer();
  });
  afterAll(() => server.stop());

  test("ST-11 ST-12 ST-21 prints received, and its run is dispatched again with the approval as its checkpoint", async () => {
    const { client, apiKey, signingSecret } = await createProject(server, "Sample");
    const strait = client.operationsPromise;
    const checkpoints: unknown[] = [];
    let prints = Promise.resolve("nothing");
    const executor = await startExecutor(signingSecret, {
      async review({ runId, runToken, checkpoint }) {
        checkpoints.push(checkpoint);
        if (checkpoint !== undefined) return { result: "published" };
        prints = runSample({ RUN_ID: runId, RUN_TOKEN: runToken, STRAIT_API_KEY: apiKey });
        await prints;
        return "waiting";
      },
    });
    onTestFinished(() => executor.close());
    const job = { name: "Review", slug: "review", endpoint_url: executor.endpointOf("review"), max_attempts: 1 };
    await strait.postV1Jobs({ body: job });

    const triggered = await strait.postV1JobsByJobIDTrigger({ pathParams: { jobID: "review" }, body: {} });

    const runID = "id" in triggered ? triggered.id : "";
    const run = await vi.waitFor(async () => {
      const found = await strait.getV1RunsByRunID({ pathParams: { runID } });
      expect(found.finished_at).not.toBeNull();
      return found;
    }, 15_000);
    const printed = await prints;
    expect(run).toMatchObject({ status: "completed", result: "published", error: null });
    expect(printed).toBe("received\n");
    expect(checkpoints).toEqual([undefined, { approved: true, reviewer: "alice", comments: "Looks good" }]);
  });

  /** Runs the file as a program, and resolves with what it prints. */
  async function runSample(env: Record<string, string>): Promise<string> {
    const args = ["--import", "tsx", "--import", REDIRECT, SAMPLE];
    const { stdout } = await promisify(execFile)(process.execPath, args, {
      cwd: dirname(SAMPLE),
      env: { PATH: process.env.PATH, STRAIT_URL: server.url, DOCUMENT_ID: "doc-7", ...env },
    });
    return stdout;
  }
});
