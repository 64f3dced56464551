import process from "node:process";
import * as msw from "@strait/msw";
import * as core from "@strait/ts";
import { setupServer } from "msw/node";
import { report } from "./mocks.mjs";

const intercept = (handlers) => setupServer(...handlers).listen({ onUnhandledRequest: "bypass" });
await report({ core, msw }, intercept, process.argv[2]);
