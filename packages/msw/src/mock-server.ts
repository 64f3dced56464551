import type { Scope } from "@strait/contract";
import { parseDuration } from "@strait/core";
import { noRoute, type StraitError, tokenExpired } from "@strait/server/pure";
import { getResponse, type HttpHandler } from "msw";
import { anyCredentials, type Keyring } from "./access.ts";
import { refusalResponse } from "./answers.ts";
import { OperationHandler } from "./operation-handler.ts";
import { handlers as factories, type OperationId, type Overrides } from "./operations.ts";
import type { CheckedCall } from "./runtime.ts";
import type { Executor } from "./state/dispatch.ts";
import { createEngine, type Engine } from "./state/engine.ts";
import { streamSubjectOf } from "./state/operations/workflows.ts";
import { claimsOf } from "./state/runs.ts";

export interface MockServerOptions {
  /** Where the client under test believes the server to be, such as `https://strait.dev`; a path behind it is kept. */
  readonly baseUrl: string;
  /** The API keys that there are, with their scopes. By default any text that could be one is, with every scope. */
  readonly apiKeys?: Readonly<Record<string, readonly Scope[]>> | undefined;
  /** In force from the start, and after `reset`. */
  readonly overrides?: Overrides | undefined;
  /**
   * The endpoint of every job: gets the request of each dispatch, and its answer completes the run, fails it or, with 202,
   * leaves it alone. Without one, runs execute until a test does for them what their code would do.
   */
  readonly executor?: Executor | undefined;
  /** Milliseconds between two `keepalive` events of a stream; 15,000 by default. */
  readonly keepaliveMs?: number | undefined;
}

/** A server in memory: jobs, runs, workflow runs, events and waits that behave like those of a real one. */
export interface MockServer {
  /** For `setupServer` of `msw/node` and `setupWorker` of `msw/browser`. */
  readonly handlers: HttpHandler[];
  /** For `createClient({ fetch })`, where nothing is to be intercepted. */
  readonly fetch: (input: string | URL | Request, init?: RequestInit) => Promise<Response>;
  /** Adds overrides; they stand before the state, and before those that were added earlier. */
  use(overrides: Overrides): void;
  /**
   * Lets time pass, and everything happen that is due by then: waits time out, sleeps end, retries start.
   *
   * @param duration - Milliseconds, or a text such as `1h30m`.
   */
  advance(duration: number | string): void;
  /** The time of the server. */
  now(): Date;
  /** Forgets everything: objects, the time that was skipped, and overrides that were added. Open streams break off. */
  reset(): void;
  /** Breaks open streams off, and stops what happens by itself. */
  close(): void;
}

/**
 * Makes a server in memory. What is sent is what a later get answers, and what its streams tell; operations that it does
 * not model answer their examples, as the handlers of `createHandlers` do.
 *
 * @example
 * ```ts
 * const strait = createMockServer({ baseUrl: "https://strait.dev" });
 * const server = setupServer(...strait.handlers);
 * ```
 */
export function createMockServer(options: MockServerOptions): MockServer {
  const { baseUrl, keepaliveMs = 15_000, executor } = options;
  let engine: Engine = createEngine({ executor, keepaliveMs });
  let overrides: Overrides = { ...options.overrides };

  const backing = {
    keyring: keyringOf(options, () => engine),
    overrideOf: (id: OperationId) => overrides[id],
    answer: (id: OperationId, call: CheckedCall) => engine.answer(id, call),
  };
  const make = <Id extends OperationId>(id: Id) => factories[id](baseUrl, undefined, backing);
  const base = baseUrl.replace(/\/+$/, "");
  const handlers = [
    ...(Object.keys(factories) as OperationId[]).map((id) => make(id)),
    ...["/v1/*", "/sdk/v1/*"].map(
      (path) => new OperationHandler("*", base + path, (request) => refusalResponse(refusalOf(request))),
    ),
  ];

  return {
    handlers,
    async fetch(input, init) {
      const request = new Request(input, init);
      request.signal.throwIfAborted();
      const response = await Promise.race([getResponse(handlers, request), aborted(request.signal)]);
      return response ?? refusalResponse(refusalOf(request));
    },
    use(added) {
      overrides = { ...overrides, ...added };
    },
    advance: (duration) => engine.advance(millisecondsOf(duration)),
    now: () => new Date(engine.store.clock.now()),
    reset() {
      engine.close();
      engine = createEngine({ executor, keepaliveMs });
      overrides = { ...options.overrides };
    },
    close: () => engine.close(),
  };
}

function keyringOf({ apiKeys }: MockServerOptions, engine: () => Engine): Keyring {
  const names = Object.keys(apiKeys ?? {});
  return {
    apiKey(key) {
      if (apiKeys === undefined) return anyCredentials.apiKey(key);
      const scopes = Object.hasOwn(apiKeys, key) ? apiKeys[key] : undefined;
      return scopes && { actor: `apikey:key_01mock${String(names.indexOf(key)).padStart(20, "0")}`, scopes };
    },
    runToken: claimsOf,
    streamToken(token) {
      const claims = streamSubjectOf(token);
      if (claims && Date.parse(claims.expiresAt) <= engine().store.clock.now()) throw tokenExpired(claims.expiresAt);
      return claims?.subject;
    },
  };
}

function millisecondsOf(duration: number | string): number {
  if (typeof duration === "number") return duration;
  const parsed = parseDuration(duration);
  if (!parsed.ok) throw new RangeError(parsed.problem.fix);
  return parsed.value;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason), { once: true }));
}

function refusalOf({ method, url }: Request): StraitError {
  return noRoute(method, new URL(url).pathname);
}
