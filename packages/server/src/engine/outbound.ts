import { lookup as resolve } from "node:dns";
import type { LookupFunction } from "node:net";
import { type Dispatcher, Pool } from "undici";
import { isPrivateAddress } from "../service/endpoint-rules.ts";

/** What came back from a call, or why nothing did. */
export type CallResult =
  | {
      readonly kind: "answer";
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string;
    }
  | { readonly kind: "too_large"; readonly status: number }
  | { readonly kind: "timeout" }
  | { readonly kind: "aborted" }
  | { readonly kind: "error"; readonly code: string; readonly message: string };

export interface Call {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly timeoutMs: number;
  /** Receives how to abort the call. */
  readonly onAbortable?: (abort: () => void) => void;
}

/** Calls endpoints of customers: keep-alive pools per origin, no redirects, and no private address unless allowed. */
export interface Outbound {
  post(call: Call): Promise<CallResult>;
  close(): Promise<void>;
}

/** What an endpoint's URL comes to. */
interface Target {
  readonly origin: string;
  readonly path: string;
  readonly hostname: string;
  readonly isAllowed: boolean;
}

export interface OutboundOptions {
  readonly allowPrivate: boolean;
  readonly maxResponseBytes: number;
  readonly connections: number;
}

const IDLE_POOL_MS = 60_000;
const MAX_TARGETS = 1_000;
/** The longest that Node.js can wait; a longer timer fires at once. 24 days and 20 hours. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Resolves once and dials what was checked, so a name cannot change its address in between. */
const guardedLookup: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    const safe = addresses?.filter(({ address }) => !isPrivateAddress(address)) ?? [];
    const [first] = safe;
    if (error) callback(error, "", 0);
    else if (!first) {
      const refusal = Object.assign(new Error(`${hostname} resolves to a private address`), { code: "EPRIVATE" });
      callback(refusal, "", 0);
    } else if (options.all) callback(null, safe);
    else callback(null, first.address, first.family);
  });
};

/** Whether the body counts: that of 202 does not, and of a failure the beginning is enough. */
const isResult = (status: number): boolean => status >= 200 && status < 300 && status !== 202;

export function openOutbound({ allowPrivate, maxResponseBytes, connections }: OutboundOptions): Outbound {
  const pools = new Map<string, { pool: Pool; usedAt: number }>();
  const targets = new Map<string, Target>();

  function poolOf(origin: string): Pool {
    const now = Date.now();
    let entry = pools.get(origin);
    if (entry === undefined) {
      closeIdle(now);
      const pool = new Pool(origin, {
        connections,
        keepAliveTimeout: 30_000,
        // The timeout of a call is its own timer: it covers the queue for a connection as well.
        headersTimeout: 0,
        bodyTimeout: 0,
        ...(allowPrivate ? {} : { connect: { lookup: guardedLookup } }),
      });
      entry = { pool, usedAt: now };
      pools.set(origin, entry);
    }
    entry.usedAt = now;
    return entry.pool;
  }

  function closeIdle(now: number): void {
    for (const [origin, { pool, usedAt }] of pools) {
      if (now - usedAt < IDLE_POOL_MS || pool.stats.running > 0 || pool.stats.pending > 0) continue;
      pools.delete(origin);
      void pool.close();
    }
  }

  function targetOf(url: string): Target {
    let target = targets.get(url);
    if (target === undefined) {
      if (targets.size === MAX_TARGETS) targets.clear();
      const { origin, pathname, search, hostname } = new URL(url);
      // A literal address is never looked up, so it is checked here.
      target = { origin, path: pathname + search, hostname, isAllowed: allowPrivate || !isPrivateAddress(hostname) };
      targets.set(url, target);
    }
    return target;
  }

  return {
    post({ url, headers, body, timeoutMs, onAbortable }) {
      return new Promise((done) => {
        const { origin, path, hostname, isAllowed } = targetOf(url);
        if (!isAllowed) {
          done({ kind: "error", code: "EPRIVATE", message: `${hostname} is a private address` });
          return;
        }
        let ended: CallResult | undefined;
        let controller: Dispatcher.DispatchController | undefined;
        const finish = (result: CallResult) => {
          if (ended) return;
          ended = result;
          clearTimeout(timer);
          done(result);
        };
        const stop = (result: CallResult) => {
          finish(result);
          controller?.abort(new Error(result.kind));
        };
        const timer = setTimeout(() => stop({ kind: "timeout" }), Math.min(timeoutMs, MAX_TIMER_MS));
        onAbortable?.(() => stop({ kind: "aborted" }));

        const chunks: Buffer[] = [];
        let bytes = 0;
        let status = 0;
        let answered: Record<string, string> = {};
        const text = () => {
          const [only] = chunks;
          return (chunks.length === 1 && only ? only : Buffer.concat(chunks)).toString();
        };
        poolOf(origin).dispatch(
          { method: "POST", path, headers, body },
          {
            onRequestStart(started) {
              controller = started;
              if (ended) started.abort(new Error("ended"));
            },
            onResponseStart(_controller, statusCode, responseHeaders) {
              status = statusCode;
              answered = responseHeaders as Record<string, string>;
            },
            onResponseData(_controller, chunk) {
              bytes += chunk.length;
              if (bytes <= maxResponseBytes) chunks.push(chunk);
              else
                stop(
                  isResult(status)
                    ? { kind: "too_large", status }
                    : { kind: "answer", status, headers: answered, body: text() },
                );
            },
            onResponseEnd() {
              finish({ kind: "answer", status, headers: answered, body: text() });
            },
            onResponseError(_controller, error) {
              const code = "code" in error && typeof error.code === "string" ? error.code : error.name;
              finish({ kind: "error", code, message: error.message });
            },
          },
        );
      });
    },
    async close() {
      await Promise.all([...pools.values()].map(({ pool }) => pool.destroy()));
      pools.clear();
    },
  };
}
