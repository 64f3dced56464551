import type { Answer, TestServer } from "./server.ts";

/** Sends a message to a run. */
export function sendMessage(
  strait: TestServer,
  runId: string,
  name: string,
  payload: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return strait.request("POST", `/v1/runs/${runId}/inbox/${name}`, { body: { payload }, headers });
}

/** `inbox/receive`, as the run's code would call it. */
export function receive(
  strait: TestServer,
  run: { readonly id: string; readonly token: string },
  options: object = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  return strait.request("POST", `/sdk/v1/runs/${run.id}/inbox/receive`, { token: run.token, body: options, headers });
}

export interface ListedMessage {
  readonly name: string;
  readonly payload: unknown;
  readonly sequence: number;
  readonly disposition: string;
  readonly received_at: string | null;
}

/** The first page of a run's inbox. */
export async function inboxOf(strait: TestServer, runId: string, query = ""): Promise<ListedMessage[]> {
  return (await strait.request("GET", `/v1/runs/${runId}/inbox${query}`)).body.data;
}
