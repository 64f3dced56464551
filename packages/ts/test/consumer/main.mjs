import process from "node:process";
import * as core from "@strait/ts";
import * as node from "@strait/ts/node";
import * as ops from "@strait/ts/ops";
import * as reactQuery from "@strait/ts/react-query";
import * as schemas from "@strait/ts/schemas";
import * as webhooks from "@strait/ts/webhooks";
import { report } from "./program.mjs";

await report({ core, node, ops, reactQuery, schemas, webhooks }, process.argv[2]);
