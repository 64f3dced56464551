import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

/** A file of the page, as it is served. */
export interface PageFile {
  readonly type: string;
  readonly content: string;
  /** The `Content-Security-Policy`. */
  readonly policy: string;
}

/** What the page is told by the server that serves it. */
interface PageSettings {
  readonly pageToken: string;
  /** Where it opens streams. */
  readonly straitUrl: string;
}

const folder = new URL("page/", import.meta.url);

/** Makes the files of the page, by their paths. */
export async function buildFiles({ pageToken, straitUrl }: PageSettings): Promise<ReadonlyMap<string, PageFile>> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("main.ts", folder))],
    bundle: true,
    format: "esm",
    target: "es2022",
    minify: true,
    write: false,
    logLevel: "silent",
  });
  const policy = [
    ...["default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src data:"],
    `connect-src 'self' ${new URL(straitUrl).origin}`,
    ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
  ].join("; ");
  const read = (name: string) => readFileSync(new URL(name, folder), "utf8");
  const html = read("index.html").replace("{pageToken}", pageToken).replace("{straitUrl}", straitUrl);
  return new Map([
    ["/", { type: "text/html; charset=utf-8", content: html, policy }],
    ["/style.css", { type: "text/css; charset=utf-8", content: read("style.css"), policy }],
    ["/main.js", { type: "text/javascript; charset=utf-8", content: outputFiles[0]?.text ?? "", policy }],
  ]);
}
