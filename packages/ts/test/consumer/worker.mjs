import * as core from "@strait/ts";
import * as ops from "@strait/ts/ops";
import * as webhooks from "@strait/ts/webhooks";
import { report } from "./program.mjs";

// What `workerd test` calls. The bundler puts the address in.
export default { test: () => report({ core, ops, webhooks }, BASE_URL) };
