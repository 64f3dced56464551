const process = require("node:process");

const entries = {
  core: require("@strait/ts"),
  node: require("@strait/ts/node"),
  ops: require("@strait/ts/ops"),
  reactQuery: require("@strait/ts/react-query"),
  schemas: require("@strait/ts/schemas"),
  webhooks: require("@strait/ts/webhooks"),
};
void import("./program.mjs").then(({ report }) => report(entries, process.argv[2]));
