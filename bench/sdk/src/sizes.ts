import { readFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { loadPackage } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

interface Esbuild {
  build(options: object): Promise<{ readonly outputFiles: readonly { readonly contents: Uint8Array }[] }>;
}

interface Program {
  readonly contents: string;
  /** What it imports is looked for around this folder. */
  readonly resolveDir: string;
}

/** A program that calls one operation, by the means of each client. */
const programs: Readonly<Record<string, (workshop: Workshop) => string | Program>> = {
  // Those that .size-limit.js of the package has limits for.
  "@strait/ts/ops, one operation": ({ ours }) => ourProgram(ours, "one-operation"),
  "@strait/ts, all operations": ({ ours }) => ourProgram(ours, "all-operations"),
  "@strait/ts, all operations and streams": ({ ours }) => ourProgram(ours, "all-operations"),
  "openapi-fetch": () =>
    `import createClient from "openapi-fetch";
     const client = createClient({ baseUrl: "https://x", headers: { authorization: "Bearer t" } });
     console.log(await client.POST("/v1/events/{eventKey}/send", { params: { path: { eventKey: "k" } }, body: { payload: 1 } }));`,
  "hey-api, one operation": () =>
    `import { createClient, postV1EventsByEventKeySend as send } from "./gen/hey-api-entry";
     const client = createClient({ baseUrl: "https://x", auth: () => "t" });
     console.log(await send({ client, path: { eventKey: "k" }, body: { payload: 1 } }));`,
  "redocly, all operations": () =>
    `import { createClient, OPERATIONS } from "./gen/redocly/client";
     const client = createClient(OPERATIONS, { serverUrl: "https://x", auth: { bearer: "t" } });
     console.log(await client.postV1EventsByEventKeySend({ path: { eventKey: "k" }, body: { payload: 1 } }));`,
  "openai's core": () =>
    `import OpenAI from "openai";
     const client = new OpenAI({ apiKey: "t", dangerouslyAllowBrowser: true });
     console.log(await client.post("/v1/events/k/send", { body: { payload: 1 } }));`,
};

/** What is loaded when it is first used, and is not used by a program. */
const loadedLater: Readonly<Record<string, readonly string[]>> = {
  "@strait/ts, all operations": ["./stream.js", "./wait.js", "./paths.js"],
  "@strait/ts, all operations and streams": ["./wait.js", "./paths.js"],
};

/** Bytes of each program for a browser, minified and gzipped. */
export async function measureSizes(workshop: Workshop): Promise<{ readonly name: string; readonly gzip: number }[]> {
  const { build } = await loadPackage<Esbuild>(workshop, "esbuild");
  const sizes: { name: string; gzip: number }[] = [];
  for (const [name, program] of Object.entries(programs)) {
    const source = program(workshop);
    const { contents, resolveDir } =
      typeof source === "string" ? { contents: source, resolveDir: workshop.folder } : source;
    const { outputFiles } = await build({
      stdin: { contents, resolveDir, loader: "ts" },
      external: [...(loadedLater[name] ?? []), "node:*", "fs", "path", "crypto"],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      target: "es2022",
      write: false,
      logLevel: "error",
    });
    sizes.push({ name, gzip: gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length });
  }
  return sizes;
}

/** A program of the package, which stands beside it and not in the workshop. */
function ourProgram(ours: string, name: string): Program {
  const folder = path.join(ours, "test", "programs");
  return { contents: readFileSync(path.join(folder, `${name}.mjs`), "utf8"), resolveDir: folder };
}
