import type { ValidateMode } from "./runtime.ts";

/** Where an answer does not fit the contract. */
export interface AnswerFault {
  readonly operationId: string;
  /** Such as `answer.data[0].status`. */
  readonly field: string;
  /** A sentence that names the operation, the field and what is wrong with it, and never repeats a value. */
  readonly message: string;
  /** Everything that is wrong with the answer, as zod says it. */
  readonly cause: unknown;
}

/**
 * Holds the body of a success, or the data of a stream's event, against the contract. `createValidator` of
 * `@strait/ts/schemas` makes one; a client does without until it is given one.
 *
 * @param validate - As the call has it; undefined for what the validator was made for.
 * @returns What the call is to throw; undefined when nothing is wrong, or when a warning was enough.
 */
export type AnswerValidator = (
  operationId: string,
  data: unknown,
  validate: ValidateMode | undefined,
) => AnswerFault | undefined;
