import { handlers as factories } from "./generated/handlers.ts";
import type { MockOperations } from "./generated/operations.ts";
import type { Override } from "./runtime.ts";

export type { MockOperations };

/** The id of an operation, such as `postV1EventsByEventKeySend`. */
export type OperationId = keyof MockOperations;

/** What stands in for what mocks answer, by operation. */
export type Overrides = { readonly [Id in OperationId]?: Override<MockOperations[Id]> | undefined };

/** Makes the handler of one operation. */
export const handlers = factories;
