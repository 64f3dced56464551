import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** One request to run a job, or a notification. */
export interface Dispatch {
  readonly headers: IncomingHttpHeaders;
  readonly runId: string;
  readonly runToken: string;
  readonly body: unknown;
}

export interface ExecutorAnswer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export type Handle = (dispatch: Dispatch) => ExecutorAnswer | Promise<ExecutorAnswer>;

/** The endpoint of every job that the suite makes: an HTTP server with a path for each. */
export interface Executor {
  /** Answers requests to a new path with `handle`; returns its URL and the requests that have come there. */
  serve(handle: Handle): { readonly url: string; readonly dispatches: readonly Dispatch[] };
  close(): Promise<void>;
}

export interface ExecutorOptions {
  /** Where to listen. */
  readonly host: string;
  /** 0 takes any that is free. */
  readonly port: number;
  /** How the server under test reaches it; undefined: where it listens. */
  readonly publicUrl: string | undefined;
}

export async function startExecutor({ host, port, publicUrl }: ExecutorOptions): Promise<Executor> {
  const served = new Map<string, { handle: Handle; dispatches: Dispatch[] }>();
  const http = createServer(async (request, response) => {
    const end = ({ status = 200, body, headers }: ExecutorAnswer) => {
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(body === undefined ? "" : JSON.stringify(body));
    };
    try {
      const content = await text(request);
      const path = served.get(request.url ?? "");
      if (!path) return end({ status: 404 });
      const dispatch: Dispatch = {
        headers: request.headers,
        runId: String(request.headers["x-run-id"]),
        runToken: String(request.headers["x-run-token"]),
        body: content === "" ? undefined : JSON.parse(content),
      };
      path.dispatches.push(dispatch);
      end(await path.handle(dispatch));
    } catch (error) {
      end({ status: 500, body: { error: (error as Error).message } });
    }
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(port, host, resolve);
  });
  const own = `http://${host}:${(http.address() as AddressInfo).port}`;
  const base = publicUrl?.replace(/\/$/, "") ?? own;
  const prefix = new URL(base).pathname.replace(/\/$/, "");
  return {
    serve(handle) {
      const path = `/${served.size + 1}`;
      const dispatches: Dispatch[] = [];
      served.set(`${prefix}${path}`, { handle, dispatches });
      return { url: `${base}${path}`, dispatches };
    },
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}
