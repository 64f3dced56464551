// Calls one operation through each of the two builds: what only fails in one module system fails here.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const builds = [await import("../dist/index.js"), createRequire(import.meta.url)("../dist/index.cjs")];

for (const { createClient, isStraitError } of builds) {
  const client = createClient({
    baseUrl: "https://strait.dev",
    auth: { type: "bearer", token: "strait_smoke_test" },
    fetch: async (url) =>
      url.endsWith("/health")
        ? Response.json({ status: "ok" })
        : url.endsWith("/stream")
          ? new Response("event: end\ndata: {}\n\n", { headers: { "content-type": "text/event-stream" } })
          : new Response("", { status: 404 }),
  });
  // What is loaded when it is first used.
  assert.deepEqual((await client.paths.GET("/health")).data, { status: "ok" });
  for await (const event of client.stream.getV1RunsByRunIDStream({ pathParams: { runID: "r" } })) assert.fail(event);

  assert.deepEqual(await client.operationsPromise.getHealth(), { status: "ok" });
  const failure = await client.operationsPromise
    .getV1EventsByEventKey({ pathParams: { eventKey: "k" } })
    .catch((error) => error);
  assert.ok(isStraitError(failure) && failure._tag === "NotFoundError" && failure.name === "NotFoundError");
}
