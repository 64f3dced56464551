/** The kinds of credential, as the bits of an operation's `auth`. An operation whose `auth` is 0 is public. */
export const authFlags = { bearer: 1, runToken: 2, internalSecret: 4 } as const;

/** What a client identifies itself with: an API key, the token of one run, or the server's internal secret. */
export type AuthType = keyof typeof authFlags;

/** A row of the operation table that the pipeline writes. */
export interface OperationRow {
  readonly method: string;
  /** Literal text and parameter names in turn, starting with text: `["/v1/events/", "eventKey", "/send"]`. */
  readonly path: readonly string[];
  /** The sum of the `authFlags` that the operation accepts; 0 when it is public. */
  readonly auth: number;
  /** The answer is an event stream. */
  readonly sse: boolean;
  /** The operation takes an `Idempotency-Key`. */
  readonly idempotent: boolean;
  readonly paginated: boolean;
}

export interface Operation extends OperationRow {
  readonly id: string;
}

/** What every call takes beside its parameters and headers. */
export interface CallOptions {
  /** Ends the call, also while it waits for its next attempt; it then throws an `AbortError`. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds for each attempt, from connecting to the last byte of the answer. Default: the client's. */
  readonly timeoutMs?: number | undefined;
  /** Milliseconds for all attempts and the waits between them. Default: the client's. */
  readonly deadlineMs?: number | undefined;
  /** Attempts after the first one; 0 means none. Default: the client's. */
  readonly retries?: number | undefined;
  /**
   * The `Idempotency-Key` of a POST, 1 to 256 characters, the same on all attempts; other methods take none. By default
   * each call gets a new key; `false` sends none, and such a POST is never repeated.
   */
  readonly idempotencyKey?: string | false | undefined;
}

/** The input of any operation, as the run-time core sees it; the generated methods narrow it. */
export interface CallInput extends CallOptions {
  readonly pathParams?: object | undefined;
  readonly query?: object | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: unknown;
}
