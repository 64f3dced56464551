import { execFile, spawnSync } from "node:child_process";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";

/** Runs a curl command as it stands, and resolves with what it prints. */
export type SendCommand = (command: string) => Promise<string>;

export const hasCurl = spawnSync("curl", ["--version"]).status === 0;

/** In a shell. @throws {Error} When curl ends with an error. */
export const withCurl: SendCommand = async (command) => (await promisify(execFile)("sh", ["-c", command])).stdout;

/** For machines without curl: sends the same request line, headers and body. */
export const withNode: SendCommand = (command) => {
  const { method, url, headers, body } = parseCurl(command);
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers }, (response) => text(response).then(resolve, reject));
    sent.once("error", reject);
    sent.end(body);
  });
};

interface Request {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
}

/** @throws {Error} When the command uses an option that the guide does not use. */
export function parseCurl(command: string): Request {
  const [program, ...words] = shellWords(command);
  if (program !== "curl") throw new Error(`not a curl command: ${command}`);
  let method = "GET";
  let url = "";
  let body: string | undefined;
  const headers: Record<string, string> = {};
  while (words.length > 0) {
    const word = words.shift() ?? "";
    if (word === "-N") continue;
    if (!word.startsWith("-")) url = word;
    else {
      const value = words.shift() ?? "";
      if (word === "-X") method = value;
      else if (word === "-d") body = value.replaceAll("\n", "");
      else if (word === "-H") headers[value.slice(0, value.indexOf(":"))] = value.slice(value.indexOf(":") + 1).trim();
      else throw new Error(`${word} is not an option that the guide uses`);
    }
  }
  return { method, url, headers, body };
}

/** Words between blanks and escaped line breaks, single- or double-quoted ones as they are. */
function shellWords(command: string): string[] {
  const words = command.matchAll(/'([^']*)'|"([^"]*)"|((?:[^\s'"\\])+)/g);
  return [...words].map(([, single, double, bare]) => single ?? double ?? bare ?? "");
}
