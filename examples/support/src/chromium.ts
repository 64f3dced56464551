import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

const CANDIDATES = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Undefined on a machine that has none. */
export const chromiumPath = [process.env.CHROMIUM_PATH, ...CANDIDATES].find(
  (path) => path !== undefined && path !== "" && existsSync(path),
);

/** Without the sandbox, which root cannot have, and without anything that asks the network. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    ...(chromiumPath === undefined ? {} : { executablePath: chromiumPath }),
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}
