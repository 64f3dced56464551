import { validationError } from "../domain/errors.ts";

const MAX_LENGTH = 256;

/**
 * The idempotency key of a request: `Idempotency-Key`, or the original's `X-Idempotency-Key`.
 *
 * @throws {StraitError} `validation_error` when it is empty or too long, or when the two headers differ.
 */
export function idempotencyKeyOf(standard: string | undefined, original: string | undefined): string | undefined {
  const key = standard ?? original;
  if (key === undefined) return undefined;
  const field = standard === undefined ? "/headers/X-Idempotency-Key" : "/headers/Idempotency-Key";
  if (standard !== undefined && original !== undefined && standard !== original) {
    throw validationError([{ field, rule: "sameKey", fix: "send one of the two headers, or the same key in both" }]);
  }
  if (key === "" || key.length > MAX_LENGTH) {
    const rule = key === "" ? "minLength" : "maxLength";
    throw validationError([{ field, rule, fix: `send 1 to ${MAX_LENGTH} characters, or leave the header out` }]);
  }
  return key;
}
