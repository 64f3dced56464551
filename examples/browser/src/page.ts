import { readFileSync } from "node:fs";

/** The guide's script as it stands there. */
const script = readFileSync(new URL("../guide/dashboard.html", import.meta.url), "utf8");
const STREAM = "/v1/events/aml:user-123/stream?token=strait_your_api_key";

/**
 * The page, with the guide's script in it. Only the address of the stream is replaced: the token in it opens this one
 * stream, where the guide has an API key.
 */
export function pageOf(eventKey: string, stream: string): string {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>AML check</title>
<style>body { font: 1.25rem system-ui; margin: 3rem } #status { font-weight: 600 }</style>
<p>The check <code>${escaped(eventKey)}</code> is <span id="status">unknown</span>.</p>
${script.replace(JSON.stringify(STREAM), JSON.stringify(stream))}</html>
`;
}

function escaped(text: string): string {
  return text.replaceAll(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
