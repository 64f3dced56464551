/** What is wrong with a value: the API's `details.issues` without the place. */
export interface Problem {
  /** The name of the rule that the value breaks, for code: a keyword of JSON Schema where one fits, such as `maxLength`. */
  readonly rule: string;
  /** What to do about it, for people: an imperative that quotes the value where that helps. */
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
