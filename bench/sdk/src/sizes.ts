import path from "node:path";
import { gzipSync } from "node:zlib";
import { loadPackage } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

interface Esbuild {
  build(options: object): Promise<{ readonly outputFiles: readonly { readonly contents: Uint8Array }[] }>;
}

/** A program that calls one operation, by the means of each client. */
const programs: Readonly<Record<string, (workshop: Workshop) => string>> = {
  "@strait/ts/ops, one operation": ({ ours }) =>
    `import { connect, postV1EventsByEventKeySend as send } from ${entry(ours, "ops")};
     const strait = connect({ baseUrl: "https://x", auth: { type: "bearer", token: "t" } });
     console.log(await send(strait, { pathParams: { eventKey: "k" }, body: { payload: 1 } }));`,
  "@strait/ts, all operations": ({ ours }) => client(ours),
  "@strait/ts, all operations and streams": ({ ours }) => client(ours),
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
  "@strait/ts, all operations": ["./stream-*", "./wait-*", "./paths-*"],
  "@strait/ts, all operations and streams": ["./wait-*", "./paths-*"],
};

/** Bytes of each program for a browser, minified and gzipped. */
export async function measureSizes(workshop: Workshop): Promise<{ readonly name: string; readonly gzip: number }[]> {
  const { build } = await loadPackage<Esbuild>(workshop, "esbuild");
  const sizes: { name: string; gzip: number }[] = [];
  for (const [name, program] of Object.entries(programs)) {
    const { outputFiles } = await build({
      stdin: { contents: program(workshop), resolveDir: workshop.folder, loader: "ts" },
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

function client(ours: string): string {
  return `import { createClient } from ${entry(ours, "index")};
    const client = createClient({ baseUrl: "https://x", auth: { type: "bearer", token: "t" } });
    console.log(await client.operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" }, body: { payload: 1 } }));`;
}

function entry(ours: string, name: string): string {
  return JSON.stringify(path.join(ours, "dist", `${name}.js`));
}
