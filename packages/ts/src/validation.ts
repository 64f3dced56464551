import type { ValidateMode } from "./runtime.ts";

/** The call that was answered. */
export interface AnsweredCall {
  readonly operationId: string;
  /** Requests that were sent, the last one included. */
  readonly attempts: number;
  /** As the call has it; undefined for what the validator was made for. */
  readonly validate: ValidateMode | undefined;
}

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
 * @throws {ValidationError} When something is wrong and a warning is not enough.
 */
export type AnswerValidator = (call: AnsweredCall, data: unknown) => void;
