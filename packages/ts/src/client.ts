import { type ClientOptions, toConfig } from "./options.ts";
import { createSend } from "./request.ts";
import { type Clock, systemClock } from "./retry.ts";
import type { CallInput, OperationRow } from "./runtime.ts";

/** An operation as a function; the generated interfaces give each its own input and result. */
export type Method = (input?: CallInput) => Promise<unknown>;

/** A client before the generated types have named its operations. */
export interface UntypedClient {
  readonly operationsPromise: Readonly<Record<string, Method>>;
}

/**
 * Makes a function of each operation that the credential may call. Event streams are not among them: they have no
 * single answer to resolve with.
 *
 * @throws {TypeError} When an option is missing or wrong.
 */
export function buildClient(
  operations: Readonly<Record<string, OperationRow>>,
  options: ClientOptions,
  clock: Clock = systemClock,
): UntypedClient {
  const config = toConfig(options);
  const send = createSend(config, clock);
  const operationsPromise: Record<string, Method> = {};
  for (const [id, row] of Object.entries(operations)) {
    const mayCall = row.auth === 0 || (row.auth & config.authFlag) !== 0;
    if (row.sse || !mayCall) continue;
    const operation = { id, ...row };
    operationsPromise[id] = (input = {}) => send(operation, input);
  }
  return { operationsPromise };
}
