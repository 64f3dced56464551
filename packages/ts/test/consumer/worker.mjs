import * as core from "@strait/ts";
import * as ops from "@strait/ts/ops";
import * as reactQuery from "@strait/ts/react-query";
import * as schemas from "@strait/ts/schemas";
import * as webhooks from "@strait/ts/webhooks";
import { report } from "./program.mjs";

// What `workerd test` calls. The bundler puts the address in.
export default { test: () => report({ core, ops, reactQuery, schemas, webhooks }, BASE_URL) };
