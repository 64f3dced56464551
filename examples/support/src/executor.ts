import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { Webhook, WebhookVerificationError } from "standardwebhooks";

/** One request of the server to run a job. */
export interface Dispatch {
  readonly runId: string;
  /** Lets the job talk about its own run: `createClient({ auth: { type: "runToken", token } })`. */
  readonly runToken: string;
  /** 1 the first time; a run that waited is dispatched again. */
  readonly number: number;
  readonly payload: unknown;
  /** What the run waited for, or has saved itself; undefined at first. Above 64 KiB it is to be read through the API. */
  readonly checkpoint: unknown;
}

/** What a job says when it returns: its result, or that it has parked its run on an event. */
export type Outcome = { readonly result: unknown } | "waiting";

export type Job = (dispatch: Dispatch) => Promise<Outcome>;

/** A program of yours that runs jobs: an HTTP endpoint for each. */
export interface Executor {
  readonly url: string;
  /** What a job's `endpoint_url` is set to. */
  endpointOf(slug: string): string;
  close(): Promise<void>;
}

/**
 * Serves jobs on any free port of 127.0.0.1. A request that the server did not sign is answered with 401, and its job
 * does not run; a job that throws is answered with 500, and the server tries it again.
 *
 * @param jobs - By slug; each is served below its slug.
 */
export async function startExecutor(signingSecret: string, jobs: Readonly<Record<string, Job>>): Promise<Executor> {
  const webhook = new Webhook(signingSecret);

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const headers = headersOf(request);
    const job = jobs[request.url?.slice(1) ?? ""];
    if (!job) return end(response, 404, { error: "no such job" });
    // The signature covers the body as it was sent.
    const payload = webhook.verify(await text(request), headers);
    const { "x-run-id": runId = "", "x-run-token": runToken = "", "x-last-checkpoint": checkpoint } = headers;
    const outcome = await job({
      runId,
      runToken,
      number: Number(headers["x-dispatch"]),
      payload,
      checkpoint: checkpoint === undefined ? undefined : JSON.parse(checkpoint),
    });
    if (outcome === "waiting") return end(response, 200, {}, { "strait-outcome": "waiting" });
    end(response, 200, outcome.result);
  }

  const http = createServer((request, response) => {
    answer(request, response).catch((error: Error) => {
      end(response, error instanceof WebhookVerificationError ? 401 : 500, { error: error.message });
    });
  });
  await new Promise<void>((resolve, reject) => {
    http.once("error", reject);
    http.listen(0, "127.0.0.1", resolve);
  });
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  return {
    url,
    endpointOf: (slug) => `${url}/${slug}`,
    close() {
      http.closeAllConnections();
      return new Promise((resolve) => http.close(() => resolve()));
    },
  };
}

/** Node lists repeated headers only for a few names, none of which is ours. */
function headersOf({ headers }: IncomingMessage): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
}

function end(response: ServerResponse, status: number, body: unknown, headers: Record<string, string> = {}): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
