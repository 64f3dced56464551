// What a program pays for what it uses, minified and gzipped. Bytes do not vary, so the limits are exact.
// `npm run bench:sdk` measures the programs of test/programs beside those of other clients.

/** @param {string[]} later - What is loaded when it is first used, and is not used here. */
const shared = (later = []) => ({
  gzip: true,
  modifyEsbuildConfig: (config) => ({
    ...config,
    format: "esm",
    target: "es2022",
    external: later.map((name) => `./${name}.js`),
  }),
});

export default [
  {
    ...shared(),
    name: "one operation on its own",
    path: "test/programs/one-operation.mjs",
    limit: "4.5 kB",
  },
  {
    ...shared(["stream", "wait", "paths"]),
    name: "a client with all operations",
    path: "test/programs/all-operations.mjs",
    limit: "7 kB",
  },
  {
    ...shared(["wait", "paths"]),
    name: "a client with all operations and its streams",
    path: "test/programs/all-operations.mjs",
    limit: "9 kB",
  },
  {
    ...shared(),
    name: "a client with all that it ever loads, openapi-fetch among it",
    path: "dist/index.js",
    import: "{ createClient }",
    limit: "12 kB",
  },
  {
    ...shared(),
    name: "the schema of one answer, with what it needs of zod",
    path: "dist/schemas.js",
    import: { "dist/schemas.js": "{ eventTriggerSchema }", zod: "{}" },
    limit: "6.5 kB",
  },
  {
    ...shared(),
    name: "the verification of webhooks",
    path: "dist/webhooks.js",
    import: "{ verifyWebhook }",
    limit: "1.8 kB",
  },
];
