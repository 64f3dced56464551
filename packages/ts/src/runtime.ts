/** The kinds of credential, as the bits of an operation's flags. An operation with none of them is public. */
export const authFlags = { bearer: 1, runToken: 2, internalSecret: 4 } as const;
const SSE = 8;
const PAGINATED = 16;

/** What a client identifies itself with: an API key, the token of one run, or the server's internal secret. */
export type AuthType = keyof typeof authFlags;

/** An operation as a call sees it. */
export interface Operation {
  readonly id: string;
  readonly method: string;
  /** With its parameters in braces: `/v1/events/{eventKey}/send`. */
  readonly path: string;
  /** The sum of the `authFlags` that the operation accepts; 0 when it is public. */
  readonly auth: number;
}

/** An operation as the table has it. */
export interface TableOperation extends Operation {
  /** The answer is an event stream. */
  readonly sse: boolean;
  readonly paginated: boolean;
}

/**
 * Reads a line of the operation table, such as `POST /v1/events/{eventKey}/send 5`: method, path and flags. The id is
 * not written down, since it follows from method and path.
 */
export function readOperation(line: string): TableOperation {
  const [method = "", path = "", flags] = line.split(" ");
  const bits = Number(flags);
  const words = path.replace(
    /[^a-z\d{]*(\{?)([a-z\d])([a-z\d]*)\}?/gi,
    (_, brace: string, first: string, rest: string) => `${brace && "By"}${first.toUpperCase()}${rest}`,
  );
  return {
    id: method.toLowerCase() + words,
    method,
    path,
    auth: bits & 7,
    sse: (bits & SSE) > 0,
    paginated: (bits & PAGINATED) > 0,
  };
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
  /** Whether the answer is held against the contract, by the client's `validator`. Default: what that was made for. */
  readonly validate?: ValidateMode | undefined;
}

/**
 * What becomes of an answer that does not fit the contract. `off`: nobody looks. `warn`: the validator's
 * `onWarning` is told, and the call goes on. `error`: the call throws a `ValidationError`.
 */
export type ValidateMode = "off" | "warn" | "error";

/** The input of any operation, as the run-time core sees it; the generated methods narrow it. */
export interface CallInput extends CallOptions {
  readonly pathParams?: object | undefined;
  readonly query?: object | undefined;
  readonly headers?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: unknown;
}

/** What the server answered. */
export type Answer<Data, Failure> = SuccessAnswer<Data> | RefusalAnswer<Failure>;

/** The server did what it was asked for. */
export interface SuccessAnswer<Data> {
  readonly ok: true;
  readonly data: Data;
  readonly error: undefined;
  readonly response: Response;
}

/** The server refused, or failed. `error` is the same object that `operationsPromise` would have thrown. */
export interface RefusalAnswer<Failure> {
  readonly ok: false;
  readonly data: undefined;
  readonly error: Failure;
  readonly response: Response;
}

/** What every stream takes beside its parameters and headers. */
export interface StreamOptions extends Omit<CallOptions, "idempotencyKey"> {
  /** The id of the last event that was seen: the stream goes on behind it. Default: it starts with the present state. */
  readonly lastEventId?: string | undefined;
  /**
   * Milliseconds of silence after which a connection counts as broken. Default 37,500, two and a half times the
   * interval at which the server says that it is there.
   */
  readonly stallMs?: number | undefined;
  /** Bytes that an event may have. Default 16 MiB; a larger one ends the stream with a `ProtocolError`. */
  readonly maxEventBytes?: number | undefined;
}

/** One event of a stream. */
export interface StreamEvent<Data> {
  /**
   * `status`: the state as it is now, or as it became. `reset`: the same, but what happened since the event before is
   * lost, because the server does not know that event any more.
   */
  readonly event: "status" | "reset" | (string & {});
  /** The place of the event in its stream, for `lastEventId`; opaque. */
  readonly id: string | undefined;
  readonly data: Data;
}

/**
 * The events of a stream, each seen once, over as many connections as it takes. It ends when what it tells about has
 * ended, and throws a `StraitError` when it cannot go on. Each loop over it is a stream of its own.
 */
export type EventStream<Data> = AsyncIterable<StreamEvent<Data>>;

/** How far to follow a list. */
export interface PaginateOptions {
  /** Entries after which to stop. Default: none. */
  readonly maxItems?: number | undefined;
  /** Pages after which to stop. Default: none. */
  readonly maxPages?: number | undefined;
}

/** All entries of a list, page after page; each is fetched when it is asked for. */
export interface Paginator<Item, Page> extends AsyncIterable<Item> {
  /** The pages as they are answered. */
  pages(): AsyncIterable<Page>;
}

/** How functions of `@strait/ts/ops` reach a server, and as whom. */
export interface Connection<Type extends AuthType> {
  readonly type: Type;
  call(operation: Operation, input: CallInput): Promise<Answer<unknown, Error>>;
}

/**
 * Makes a function of one operation, which needs nothing of the others. Its generated type names input and result.
 *
 * @param auth - As in `Operation`.
 */
export function standalone(
  id: string,
  method: string,
  path: string,
  auth: number,
): (connection: Connection<AuthType>, input?: CallInput) => Promise<never> {
  return async (connection, input = {}) => {
    const answer = await connection.call({ id, method, path, auth }, input);
    if (!answer.ok) throw answer.error;
    return answer.data as never;
  };
}
