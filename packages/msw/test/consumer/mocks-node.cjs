const process = require("node:process");
const { setupServer } = require("msw/node");

const entries = { core: require("@strait/ts"), msw: require("@strait/msw") };
const intercept = (handlers) => setupServer(...handlers).listen({ onUnhandledRequest: "bypass" });
void import("./mocks.mjs").then(({ report }) => report(entries, intercept, process.argv[2]));
