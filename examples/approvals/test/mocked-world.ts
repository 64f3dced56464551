import { EventEmitter, on } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import type { EventTrigger, StreamEvent } from "@strait/contract";
import { createHandlers } from "@strait/msw";
import { getResponse, type HttpHandler } from "msw";
import type { World } from "./world.ts";

const apiKey = "strait_mocked_0123456789";
const actor = "apikey:key_mocked";

/** The mocks behind a port, so that a browser reaches them. They remember what was asked and how it was answered. */
export async function startMockedWorld(): Promise<World> {
  const triggers = new Map<string, EventTrigger>();
  const changes = new EventEmitter();

  function put(trigger: EventTrigger): EventTrigger {
    triggers.set(trigger.event_key, trigger);
    changes.emit(trigger.event_key);
    return trigger;
  }

  /** Ends a wait; undefined when it has ended. */
  function settle(eventKey: string, how: Partial<EventTrigger>): EventTrigger | undefined {
    const trigger = triggers.get(eventKey);
    if (trigger?.status !== "waiting") return undefined;
    return put({ ...trigger, ...how, finished_at: new Date().toISOString() });
  }

  async function* states(eventKey: string, signal: AbortSignal): AsyncGenerator<StreamEvent> {
    const heard = on(changes, eventKey, { signal });
    for (let id = 1; ; id += 1) {
      const trigger = triggers.get(eventKey);
      yield { event: "status", id: String(id), data: trigger };
      if (trigger?.status !== "waiting") break;
      await heard.next();
    }
    yield { event: "end", data: {} };
  }

  const handlersAt = (baseUrl: string) =>
    createHandlers({
      baseUrl,
      overrides: {
        getV1Events() {
          const data = [...triggers.values()].filter(({ status }) => status === "waiting");
          return { body: { data, has_more: false, next_cursor: null } };
        },
        getV1EventsByEventKey({ pathParams }) {
          const body = triggers.get(pathParams.eventKey);
          return body ? { body } : 404;
        },
        postV1EventsByEventKeySend({ pathParams, body }) {
          const answer = { status: "received", response_payload: body?.payload ?? null, sent_by: actor } as const;
          const settled = settle(pathParams.eventKey, answer);
          return settled ? { body: { ...settled, disposition: "delivered" } } : 409;
        },
        postV1EventsByEventKeyReject({ pathParams, body }) {
          const cancellation = { kind: "rejected", reason: body.reason, actor, details: null } as const;
          const settled = settle(pathParams.eventKey, { status: "canceled", cancellation });
          return settled ? { body: { ...settled, disposition: "rejected" } } : 409;
        },
        postV1StreamTokens({ body }) {
          const url = `/v1/events/${encodeURIComponent(body.event_key ?? "")}/stream?token=a.b.c`;
          return { body: { token: "a.b.c", expires_at: new Date(Date.now() + 300_000).toISOString(), url } };
        },
        getV1EventsByEventKeyStream: ({ pathParams, request }) => ({
          body: states(pathParams.eventKey, request.signal),
        }),
      },
    });

  const { url: straitUrl, close } = await serveHandlers(handlersAt);
  const example = await exampleTrigger();
  return {
    straitUrl,
    apiKey,
    async ask({ key: event_key, asks: request_payload, timeoutSecs: timeout_secs }) {
      const requested_at = new Date().toISOString();
      const expires_at = timeout_secs === null ? null : new Date(Date.now() + timeout_secs * 1_000).toISOString();
      const question = { event_key, request_payload, timeout_secs, requested_at, expires_at };
      put({ ...example, ...question, id: `trg_${triggers.size + 1}`, status: "waiting" });
    },
    close,
  };
}

/** What the contract shows as an event trigger that waits. */
async function exampleTrigger(): Promise<EventTrigger> {
  const origin = "https://strait.mocked";
  const request = new Request(`${origin}/v1/events/key`, { headers: { authorization: `Bearer ${apiKey}` } });
  const response = await getResponse(createHandlers({ baseUrl: origin }), request);
  const trigger = (await response?.json()) as EventTrigger;
  return {
    ...trigger,
    response_payload: null,
    received_at: null,
    finished_at: null,
    sent_by: null,
    cancellation: null,
  };
}

/** A server whose every answer is a mock's. Pages of other origins may read them, as on a real one. */
async function serveHandlers(handlersAt: (baseUrl: string) => HttpHandler[]) {
  let handlers: HttpHandler[] = [];
  const http = createServer(async (incoming, response) => {
    const aborted = new AbortController();
    response.on("close", () => aborted.abort());
    const { method = "GET", headers } = incoming;
    const request = new Request(url + incoming.url, {
      method,
      headers: Object.entries(headers).map(([name, value]): [string, string] => [name, String(value)]),
      body: method === "GET" ? null : await text(incoming),
      signal: aborted.signal,
    });
    const answer = await getResponse(handlers, request);
    response.writeHead(answer?.status ?? 404, {
      ...Object.fromEntries(answer?.headers ?? []),
      "access-control-allow-origin": "*",
    });
    if (answer?.body)
      Readable.fromWeb(answer.body as never)
        .on("error", () => response.destroy())
        .pipe(response);
    else response.end();
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
  handlers = handlersAt(url);
  return {
    url,
    close() {
      http.closeAllConnections();
      return new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}
