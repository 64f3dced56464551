import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { chromiumPath, launchChromium } from "@strait/example-support/chromium";
import { createProject, type Project } from "@strait/example-support/project";
import type { RunningServer } from "@strait/example-support/server";
import { startTemporaryServer } from "@strait/example-support/temporary-server";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { servePage } from "../src/server.ts";
import { breakableConnection } from "./breakable-connection.ts";

const EVENT_KEY = "aml:user-123";
/** The page that the script comes from, beside the repository where it is developed: elsewhere there is nothing to compare. */
const GUIDE = fileURLToPath(new URL("../../../../shared/seeds/000_697c32fce012605c.txt", import.meta.url));

test.skipIf(!existsSync(GUIDE))("the script is the guide's text", () => {
  const script = readFileSync(new URL("../guide/dashboard.html", import.meta.url), "utf8").trimEnd();

  expect(readFileSync(GUIDE, "utf8")).toContain(script);
});

const needs = chromiumPath === undefined ? " (skipped: there is no Chromium here; apt-get install chromium)" : "";

describe.skipIf(chromiumPath === undefined)(`pattern 9 in a browser${needs}`, () => {
  let server: RunningServer;
  let browser: Browser;
  beforeAll(async () => {
    server = await startTemporaryServer({ SSE_KEEPALIVE_INTERVAL: "200ms" });
    browser = await launchChromium();
  });
  afterAll(async () => {
    await browser?.close();
    await server?.stop();
  });

  /** A project of which a workflow run waits for the event. */
  async function givenWait(): Promise<Project> {
    const project = await createProject(server, "Dashboard");
    const { operationsPromise: strait } = project.client;
    const steps = [{ step_ref: "aml-check", type: "wait_for_event" as const, event_key: EVENT_KEY }];
    await strait.postV1Workflows({ body: { name: "KYC", slug: "kyc", steps } });
    await strait.postV1WorkflowsByWorkflowIDTrigger({ pathParams: { workflowID: "kyc" }, body: {} });
    await vi.waitFor(() => strait.getV1EventsByEventKey({ pathParams: { eventKey: EVENT_KEY } }), 15_000);
    return project;
  }

  /** The page as a visitor sees it, and what it says on the console. */
  async function visit({ client }: Project, straitUrl: string) {
    const pages = await servePage(client, straitUrl, EVENT_KEY);
    const page = await browser.newPage();
    onTestFinished(async () => {
      await page.close();
      await pages.close();
    });
    const said: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    const streams: string[] = [];
    page.on("request", (request) => void (request.url().includes("/stream") && streams.push(request.url())));
    await page.goto(pages.url);
    const shows = (status: string) => page.locator("#status", { hasText: status }).waitFor({ timeout: 15_000 });
    return { page, said, streams, shows };
  }

  const send = ({ client }: Project) =>
    client.operationsPromise.postV1EventsByEventKeySend({
      pathParams: { eventKey: EVENT_KEY },
      body: { payload: { result: "clear" } },
    });

  test("ST-15 ST-16 ST-17 T6 the page shows waiting, hears keepalives, and shows received", async () => {
    const project = await givenWait();
    const { said, streams, shows } = await visit(project, server.url);
    await shows("waiting");
    await vi.waitFor(() => expect(said).toContain("Connection alive"), 15_000);

    await send(project);

    await shows("received");
    expect(streams).toHaveLength(1);
    expect(streams[0]).not.toContain(project.apiKey);
  });

  test("T1 T3 an EventSource that was cut off comes back by itself, and misses nothing", async () => {
    const project = await givenWait();
    const connection = await breakableConnection(server.url);
    onTestFinished(() => connection.close());
    const { streams, shows } = await visit(project, connection.url);
    await shows("waiting");

    connection.breakOff();
    await send(project);

    await shows("received");
    expect(streams.length).toBeGreaterThan(1);
  });

  test("T1 204 stops an EventSource that has seen the end", async () => {
    const project = await givenWait();
    await send(project);
    const { page, shows } = await visit(project, server.url);
    await shows("received");
    const { url } = await project.client.operationsPromise.postV1StreamTokens({ body: { event_key: EVENT_KEY } });

    const told = await page.evaluate(`new Promise((resolve) => {
      const told = [];
      const source = new EventSource(${JSON.stringify(server.url + url)});
      for (const name of ["status", "end"]) source.addEventListener(name, () => told.push(name));
      source.onerror = () => source.readyState === EventSource.CLOSED && resolve(told);
    })`);

    expect(told).toEqual(["status", "end"]);
  });

  test("a page of another origin is told why its token does not open a stream", async () => {
    const project = await givenWait();
    const { page } = await visit(project, server.url);

    const answer = await page.evaluate(`
      fetch(${JSON.stringify(`${server.url}/v1/events/other/stream?token=a.b.c`)})
        .then(async (response) => [response.status, (await response.json()).error.code])`);

    expect(answer).toEqual([401, "unauthorized"]);
  });
});
