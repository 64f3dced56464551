// Calls one operation through each of the two builds: what only fails in one module system fails here.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const builds = [await import("../dist/index.js"), createRequire(import.meta.url)("../dist/index.cjs")];

for (const { createClient, isStraitError } of builds) {
  const client = createClient({
    baseUrl: "https://strait.dev",
    auth: { type: "bearer", token: "strait_smoke_test" },
    fetch: async (url) =>
      url.endsWith("/health") ? Response.json({ status: "ok" }) : new Response("", { status: 404 }),
  });
  assert.deepEqual(await client.operationsPromise.getHealth(), { status: "ok" });
  const failure = await client.operationsPromise
    .getV1EventsByEventKey({ pathParams: { eventKey: "k" } })
    .catch((error) => error);
  assert.ok(isStraitError(failure) && failure._tag === "NotFoundError" && failure.name === "NotFoundError");
}
