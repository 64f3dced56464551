import createFetchClient from "openapi-fetch";
import type { Call } from "./call.ts";
import type { Refuse } from "./options.ts";
import type { UntypedPaths } from "./paths-proxy.ts";
import type { Transport } from "./request.ts";
import { addIdempotencyKey, buildPath } from "./request-parts.ts";

/**
 * An openapi-fetch client over our transport: its calls have the credential, the retries, the time limits and the
 * middleware of the client, and throw a `StraitError` when there is no answer.
 */
export function createPaths(transport: Transport, refuseInput: (operationId: string) => Refuse): UntypedPaths {
  const { config, clock } = transport;
  return createFetchClient({
    baseUrl: config.baseUrl,
    // Its own would let "." and ".." through, which lead to another operation.
    pathSerializer: (path, params) => buildPath(refuseInput(path), path, params),
    async fetch(request) {
      const { method, url, signal } = request;
      const { pathname } = new URL(url);
      const operationId = `${method} ${pathname}`;
      const headers = Object.fromEntries(request.headers);
      const isSafe = addIdempotencyKey(refuseInput(operationId), method, headers, undefined);
      const content = method === "GET" || method === "HEAD" ? "" : await request.text();
      const call: Call = {
        operationId,
        url,
        method,
        headers,
        body: content === "" ? undefined : content,
        isPublic: false,
        signal,
        retries: isSafe ? config.retries : 0,
        timeoutMs: config.timeoutMs,
        deadlineAt: clock.now() + config.deadlineMs,
        validate: undefined,
        attempts: 0,
        tries: 0,
        hasRefreshed: false,
      };
      const arrived = await transport.exchange(call, isEventStream);
      const { response } = arrived;
      const { status, statusText } = response;
      if (response.type === "opaqueredirect") return response;
      if (isEventStream(response)) {
        const body = response.body?.pipeThrough(new TransformStream(), { signal }) ?? null;
        return new Response(body, { status, statusText, headers: response.headers });
      }
      const text = response.ok ? arrived.text : transport.redact(arrived.text);
      return new Response(text === "" ? null : text, { status, statusText, headers: response.headers });
    },
  });
}

function isEventStream({ headers }: Response): boolean {
  return headers.get("content-type")?.startsWith("text/event-stream") === true;
}
