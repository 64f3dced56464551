/** What is wrong with a value, in the words of the API's `details.issues`. */
export interface Problem {
  /** The rule that the value breaks, as a phrase that follows its name: `must be a duration`. */
  readonly rule: string;
  /** What to do about it, as an imperative: `write "24h"`. */
  readonly fix: string;
}

/** A value that passed a check, or the problem with it. */
export type Checked<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: Problem };

export function valid<Value>(value: Value): Checked<Value> {
  return { ok: true, value };
}

export function invalid(rule: string, fix: string): Checked<never> {
  return { ok: false, problem: { rule, fix } };
}
