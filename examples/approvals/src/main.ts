// The page for a server of yours: STRAIT_BASE_URL and STRAIT_API_KEY say which.

import { serveApprovals } from "./server.ts";

const { STRAIT_BASE_URL: straitUrl = "http://localhost:8080", STRAIT_API_KEY: apiKey, PORT = "4100" } = process.env;
if (!apiKey) {
  console.error("STRAIT_API_KEY is not set; `npm start` at the root prints the key of a development server.");
  process.exitCode = 1;
} else {
  const { url } = await serveApprovals({ straitUrl, apiKey, port: Number(PORT) });
  console.log(`Approvals: ${url}`);
}
