/** One attempt of a call, as middleware sees it. It may be changed before it is passed on. */
export interface OutgoingRequest {
  readonly operationId: string;
  /** 1 for the first attempt of the call. */
  readonly attempt: number;
  method: string;
  /** In full, with its query. */
  url: string;
  /** Names in lower case; the credential is among them. */
  headers: Record<string, string>;
  body: string | undefined;
  /** Aborted when the time of the attempt is up, or by the caller. */
  signal: AbortSignal;
}

/** Sends the request, through what stands behind in the list. May be called again: nothing in a request is used up. */
export type Next = (request: OutgoingRequest) => Promise<Response>;

/**
 * Stands around each attempt, streams and `client.paths` included; the first of the list is the outermost. What it
 * throws by itself reaches the caller unchanged and is not tried again.
 *
 * @example
 * ```ts
 * const traced: Middleware = (request, next) => {
 *   request.headers.traceparent = currentTraceparent();
 *   return next(request);
 * };
 * ```
 */
export type Middleware = (request: OutgoingRequest, next: Next) => Promise<Response>;
