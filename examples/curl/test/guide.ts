import { readFileSync } from "node:fs";

/** A file of `guide/`, without the line break at its end. */
export function readGuide(name: string): string {
  return readFileSync(new URL(`../guide/${name}`, import.meta.url), "utf8").trimEnd();
}

/** Where the guide's commands go here: only the host and the key are replaced. */
export interface Target {
  readonly url: string;
  readonly apiKey: string;
}

/** A command of the guide, ready to be typed. */
export function commandOf(name: string, { url, apiKey }: Target): string {
  return readGuide(name).replace("https://strait.dev", url).replace("strait_...", apiKey);
}

/**
 * The JSON bodies of the guide's Python requests, by the end of their paths. Python's names in braces are replaced by
 * `values`.
 */
export function bodiesOf(name: string, values: Readonly<Record<string, string>>): Record<string, unknown> {
  const requests = readGuide(name).matchAll(/requests\.post\(f"[^"]*\/([\w-]+)",.*?json=(\{.*?\})\)/gs);
  return Object.fromEntries(
    [...requests].map(([, path = "", dict = ""]) => {
      const json = dict.replace(/f("[^"]*")/g, (_, text: string) =>
        text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? ""),
      );
      return [path, JSON.parse(json)];
    }),
  );
}
