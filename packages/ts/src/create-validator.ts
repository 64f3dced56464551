import { ValidationError } from "./errors.ts";
import type { Schema } from "./lazy-schema.ts";
import type { ValidateMode } from "./runtime.ts";
import type { AnswerFault, AnswerValidator } from "./validation.ts";

/** What is wrong with one part of a value, as zod says it. */
type Issue = NonNullable<ReturnType<Schema<unknown>["safeParse"]>["error"]>["issues"][number];

export interface ValidatorOptions {
  /** For calls that do not choose for themselves. */
  readonly validate: ValidateMode;
  /** Is told of an answer that does not fit where `validate` is `warn`. */
  readonly onWarning?: ((fault: AnswerFault) => void) | undefined;
}

/**
 * Makes what `createClient` needs to hold answers against the contract.
 *
 * @param schemas - By operation id: `answerSchemas`, or those of the operations that are to be checked, which is less to load.
 *   The answers of other operations are not looked at.
 * @throws {TypeError} When it is to warn and there is nobody to tell.
 *
 * @example
 * ```ts
 * import { createClient } from "@strait/ts";
 * import { answerSchemas, createValidator } from "@strait/ts/schemas";
 *
 * const client = createClient({
 *   baseUrl: "https://strait.dev",
 *   auth: { type: "bearer", token: apiKey },
 *   validator: createValidator(answerSchemas, { validate: "error" }),
 * });
 * ```
 */
export function createValidator(
  schemas: { readonly [operationId: string]: () => Schema<unknown> },
  options: ValidatorOptions,
): AnswerValidator {
  const { onWarning } = options;
  if (options.validate === "warn" && !onWarning) {
    throw new TypeError('createValidator: onWarning is missing; with validate: "warn" it is what is told');
  }
  return ({ operationId, attempts, validate = options.validate }, data) => {
    if (validate === "off" || !Object.hasOwn(schemas, operationId)) return;
    const issues = schemas[operationId]?.().safeParse(data).error?.issues;
    if (!issues) return;
    const { field, wrong } = describe(issues);
    const message = `${field} ${wrong}`;
    if (validate === "error") throw new ValidationError(message, { operationId, attempts, field, cause: issues });
    onWarning?.({ operationId, field, message: `${operationId}: ${message}`, cause: issues });
  };
}

function describe([first]: readonly Issue[]): { readonly field: string; readonly wrong: string } {
  const field = (first?.path ?? []).reduce<string>((path, key) => path + step(key), "answer");
  return {
    field,
    wrong: first?.code === "invalid_type" ? `should be ${first.expected}` : `does not fit (${first?.code})`,
  };
}

function step(key: PropertyKey): string {
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}
