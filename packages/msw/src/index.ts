import type { HttpHandler } from "msw";
import { handlers, type MockOperations, type OperationId, type Overrides } from "./operations.ts";

export { createMockServer, type MockServer, type MockServerOptions } from "./mock-server.ts";
export { failure, inTurn } from "./replies.ts";
export type { HandlerFactory, MockCall, MockOperation, Override, Reply } from "./runtime.ts";
export type { Executor } from "./state/dispatch.ts";
export { handlers, type MockOperations, type OperationId, type Overrides };

export interface HandlerOptions {
  /** Where the client under test believes the server to be, such as `https://strait.dev`; a path behind it is kept. */
  readonly baseUrl: string;
  readonly overrides?: Overrides | undefined;
}

/**
 * Makes an MSW handler for every operation. Each answers the contract's example of its first success, unless an
 * override says otherwise: a status (answers its example), status and body, a body, or a function of the call. Requests
 * that break the contract are refused as by the server, whatever the override.
 *
 * The handlers keep no state: an event that is sent does not change what a later get answers. `createMockServer` does.
 *
 * @example
 * ```ts
 * const server = setupServer(
 *   ...createHandlers({
 *     baseUrl: "https://strait.dev",
 *     overrides: {
 *       getV1EventsByEventKey: 404,
 *       postV1EventsByEventKeySend: ({ pathParams }) => (pathParams.eventKey === "taken" ? 409 : 200),
 *     },
 *   }),
 * );
 * ```
 */
export function createHandlers({ baseUrl, overrides = {} }: HandlerOptions): HttpHandler[] {
  const make = <Id extends OperationId>(id: Id) => handlers[id](baseUrl, overrides[id]);
  return (Object.keys(handlers) as OperationId[]).map((id) => make(id));
}
