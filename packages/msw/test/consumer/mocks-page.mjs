import * as msw from "@strait/msw";
import * as core from "@strait/ts";
import { setupWorker } from "msw/browser";
import { report } from "./mocks.mjs";

const serviceWorker = { url: "mockServiceWorker.js" };
const intercept = (handlers) =>
  setupWorker(...handlers).start({ serviceWorker, onUnhandledRequest: "bypass", quiet: true });
await report({ core, msw }, intercept, location.href.replace(/\/$/, ""));
