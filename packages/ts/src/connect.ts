import { type ClientOptions, toConfig } from "./options.ts";
import { createTransport } from "./request.ts";
import { systemClock } from "./retry.ts";
import type { AuthType, Connection } from "./runtime.ts";

/**
 * Makes what the functions of `@strait/ts/ops` take first: `createClient` without the operations, for a program that is to
 * stay small.
 *
 * @throws {TypeError} When an option is missing or wrong.
 *
 * @example
 * ```ts
 * import { connect, postV1EventsByEventKeySend } from "@strait/ts/ops";
 *
 * const strait = connect({ baseUrl: "https://strait.dev", auth: { type: "bearer", token: apiKey } });
 * await postV1EventsByEventKeySend(strait, { pathParams: { eventKey: "aml:user-456" }, body: { payload: "clear" } });
 * ```
 */
export function connect<Type extends AuthType>(options: ClientOptions<Type>): Connection<Type> {
  const { call } = createTransport(toConfig(options), systemClock);
  return { type: options.auth.type, call };
}
