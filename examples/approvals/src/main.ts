// The page for a server of yours: STRAIT_URL and STRAIT_API_KEY say which.

import { serveApprovals } from "./server.ts";

const { STRAIT_URL: straitUrl, STRAIT_API_KEY: apiKey, PORT = "4100" } = process.env;
if (!straitUrl || !apiKey) {
  console.error(
    "STRAIT_URL and STRAIT_API_KEY are not set; `npm start` at the root prints them for a development server.",
  );
  process.exitCode = 1;
} else {
  const { url } = await serveApprovals({ straitUrl, apiKey, port: Number(PORT) });
  console.log(`Approvals: ${url}`);
}
