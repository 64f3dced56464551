import type { Middleware } from "./middleware.ts";
import { stripToken } from "./redact.ts";

const levels = ["debug", "info", "warn", "error"] as const;

/** From the least to the most important: `debug`, `info`, `warn`, `error`. */
export type LogLevel = (typeof levels)[number];

/** What is told of an attempt. It holds no credential: headers are hidden unless they are on the list. */
export interface LogEntry {
  /** `debug`: about to be sent. `info`: answered. `warn`: answered with 400 or above. `error`: not answered. */
  readonly level: LogLevel;
  readonly message: string;
  readonly operationId: string;
  readonly method: string;
  /** Without the value of `?token=`. */
  readonly url: string;
  /** 1 for the first attempt of the call. */
  readonly attempt: number;
  /** Of the request at `debug`, of the answer otherwise. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: number;
  /** Milliseconds from the request to the head of the answer. */
  readonly durationMs?: number;
}

export interface LogOptions {
  readonly log: (entry: LogEntry) => void;
  /** What is less important is left out. Default `info`. */
  readonly level?: LogLevel | undefined;
  /** More headers whose values may be shown. */
  readonly showHeaders?: readonly string[] | undefined;
}

const shownHeaders = [
  "accept",
  "content-length",
  "content-type",
  "idempotency-key",
  "idempotency-replayed",
  "last-event-id",
  "retry-after",
  "x-request-id",
];

/**
 * Middleware that tells of each attempt. Values of headers that are not on the list are replaced by `[redacted]`, and
 * bodies are not shown.
 *
 * @example
 * ```ts
 * createClient({ baseUrl, auth, middleware: [logRequests({ log: (entry) => console.log(entry.message) })] });
 * ```
 */
export function logRequests({ log, level = "info", showHeaders = [] }: LogOptions): Middleware {
  const shown = new Set([...shownHeaders, ...showHeaders.map((name) => name.toLowerCase())]);
  const least = levels.indexOf(level);
  const show = (headers: Iterable<readonly [string, string]>) =>
    Object.fromEntries([...headers].map(([name, value]) => [name, shown.has(name) ? value : "[redacted]"]));

  return async (request, next) => {
    const { operationId, method, attempt } = request;
    const url = stripToken(request.url);
    const tell = (level: LogLevel, what: string, more: Partial<LogEntry>) => {
      if (levels.indexOf(level) < least) return;
      log({ level, message: `${method} ${url} ${what}`, operationId, method, url, attempt, ...more });
    };
    tell("debug", "is sent", { headers: show(Object.entries(request.headers)) });
    const started = performance.now();
    const elapsed = () => Math.round(performance.now() - started);
    try {
      const response = await next(request);
      const { status } = response;
      tell(status < 400 ? "info" : "warn", `answered ${status}`, {
        status,
        durationMs: elapsed(),
        headers: show(response.headers),
      });
      return response;
    } catch (error) {
      tell("error", "got no answer", { durationMs: elapsed() });
      throw error;
    }
  };
}
