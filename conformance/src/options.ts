import { parseArgs } from "node:util";
import type { Target } from "./suite.ts";

export interface Options {
  /** Undefined: start a server for the suite alone. */
  readonly target: Target | undefined;
  /** Of that server. */
  readonly processes: number;
  /** Only these rules; undefined for all. */
  readonly only: readonly string[] | undefined;
}

/** A mistake in the arguments. The message is all that its author needs to see. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

export const help = `Proves the rules of events and waits against a server, over HTTP and nothing else.

Usage: npm run conformance -- [options]

Without --url it starts a server with a database of its own, in a temporary folder.

  --processes <n>          start that many server processes on one database, and spread
                           the requests over them (1)
  --only <a,b>             only these rules, such as U1,B6,ST-04

To test a server that runs already:

  --url <url>              where it is; repeat it for each process of one server
  --key <key>              an API key of it with all scopes (or STRAIT_API_KEY)
  --internal-secret <s>    lets the suite make a second project, for the rules that keep
                           projects apart (or INTERNAL_SECRET); without it they are skipped
  --listen <host:port>     where the endpoint of the suite's jobs listens (127.0.0.1:0)
  --executor-url <url>     how that server reaches the endpoint (http://<host:port>)
  --help                   this text

The server must be allowed to call that endpoint: for a private address it needs
STRAIT_ALLOW_PRIVATE_ENDPOINTS=true. The suite makes jobs, workflows, runs and events
whose names begin with "cf-", and cancels the runs that it leaves behind. It takes
about half a minute, because deadlines are waited for. It ends with 0 when no rule is
broken, with 1 when one is, and with 2 when it could not be run.
`;

/** @returns The options, or undefined when help was asked for. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): Options | undefined {
  const values = parse(args);
  if (values.help) return undefined;
  const processes = Number(values.processes ?? 1);
  if (!Number.isInteger(processes) || processes < 1 || processes > 16) {
    throw new UsageError(`--processes is ${values.processes}; give a number from 1 to 16.`);
  }
  if (values.url !== undefined && values.processes !== undefined) {
    throw new UsageError("--processes is for a server that the suite starts; repeat --url for each process of yours.");
  }
  return {
    target: values.url === undefined ? undefined : targetOf(values.url, values, env),
    processes,
    only: values.only?.split(","),
  };
}

function targetOf(urls: readonly string[], values: ReturnType<typeof parse>, env: NodeJS.ProcessEnv): Target {
  const wrong = urls.find((url) => !/^https?:/.test(url) || !URL.canParse(url));
  if (wrong !== undefined) throw new UsageError(`--url is ${wrong}; give a URL such as http://127.0.0.1:8080.`);
  const apiKey = values.key ?? env.STRAIT_API_KEY;
  if (!apiKey) throw new UsageError("--key is missing; give an API key of the server with all scopes.");
  const [, host, port] = /^(.+):(\d+)$/.exec(values.listen ?? "127.0.0.1:0") ?? [];
  if (host === undefined || Number(port) > 65_535) {
    throw new UsageError(`--listen is ${values.listen}; give a host and a port such as 0.0.0.0:9000.`);
  }
  return {
    urls: urls.map((url) => url.replace(/\/+$/, "")),
    apiKey,
    internalSecret: values["internal-secret"] ?? env.INTERNAL_SECRET,
    listen: { host, port: Number(port) },
    executorUrl: values["executor-url"],
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        url: { type: "string", multiple: true },
        key: { type: "string" },
        "internal-secret": { type: "string" },
        processes: { type: "string" },
        only: { type: "string" },
        listen: { type: "string" },
        "executor-url": { type: "string" },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}
