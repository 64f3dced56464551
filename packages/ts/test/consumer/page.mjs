import * as core from "@strait/ts";
import * as ops from "@strait/ts/ops";
import * as webhooks from "@strait/ts/webhooks";
import { report } from "./program.mjs";

await report({ core, ops, webhooks }, location.href.replace(/\/$/, ""));
