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
  return (operationId, data, validate = options.validate) => {
    if (validate === "off" || !Object.hasOwn(schemas, operationId)) return undefined;
    const issues = schemas[operationId]?.().safeParse(data).error?.issues;
    if (!issues) return undefined;
    const fault = describe(operationId, issues);
    if (validate === "error") return fault;
    onWarning?.(fault);
    return undefined;
  };
}

function describe(operationId: string, issues: readonly Issue[]): AnswerFault {
  const [first] = issues;
  const field = (first?.path ?? []).reduce<string>((path, key) => path + step(key), "answer");
  const wrong = first?.code === "invalid_type" ? `should be ${first.expected}` : `does not fit (${first?.code})`;
  return { operationId, field, message: `${operationId}: ${field} ${wrong}`, cause: issues };
}

function step(key: PropertyKey): string {
  return typeof key === "number" ? `[${key}]` : `.${String(key)}`;
}
