import type { ErrorIssue } from "@strait/contract";
import { checkEventKey, checkEventKeyPrefix } from "@strait/core";
import { type StraitError, validationError } from "./errors.ts";

// What a request has to keep beyond the JSON Schemas of the contract.

/** The key in its one form. @throws {StraitError} `validation_error` for a text that is none. */
export function eventKeyOf(text: string, field: string): string {
  const checked = checkEventKey(text);
  if (!checked.ok) throw validationError([{ field, ...checked.problem }]);
  return checked.value;
}

/** A shorter prefix reaches more than anybody means, unless they say so. */
const MIN_PREFIX_LENGTH = 3;

/** The prefix in its one form. @throws {StraitError} `validation_error` for a text that is none, or a short one. */
export function prefixOf(text: string, allowShort: boolean): string {
  const field = "/path/prefix";
  const checked = checkEventKeyPrefix(text);
  if (!checked.ok) throw validationError([{ field, ...checked.problem }]);
  if (!allowShort && [...checked.value].length < MIN_PREFIX_LENGTH) {
    const fix = `write at least ${MIN_PREFIX_LENGTH} characters, or send allow_short if so short a prefix is meant`;
    throw validationError([{ field, rule: "minLength", fix }]);
  }
  return checked.value;
}

interface Deadline {
  readonly timeout_secs?: number | null | undefined;
  readonly deadline?: string | undefined;
}

/** @throws {StraitError} `validation_error` when a deadline is given in two ways. */
export function checkOneDeadline({ timeout_secs, deadline }: Deadline): void {
  if (deadline === undefined || timeout_secs === undefined) return;
  throw validationError([{ field: "/deadline", rule: "notWithTimeout", fix: "send either timeout_secs or deadline" }]);
}

/** @throws {StraitError} `validation_error` when there is no new deadline, or two. */
export function checkNewDeadline(body: Deadline): void {
  if (body.timeout_secs === undefined && body.deadline === undefined) {
    const fix = "send timeout_secs, which may be null for no deadline, or deadline";
    throw validationError([{ field: "/timeout_secs", rule: "required", fix }]);
  }
  checkOneDeadline(body);
}

/** @throws {StraitError} `validation_error` for a list of deadlines of what does not wait. */
export function checkWindow(query: {
  readonly status?: string;
  readonly expires_after?: string;
  readonly expires_before?: string;
}): void {
  const { status = "waiting", expires_after, expires_before } = query;
  if ((expires_after ?? expires_before) === undefined || status === "waiting") return;
  const fix = "leave status out, or ask for waiting: only what waits has a deadline ahead";
  throw validationError([{ field: "/query/status", rule: "waitingWithDeadline", fix }]);
}

/** The one of `fields` that is given. @throws {StraitError} `validation_error` when none or several are. */
export function oneOf<Field extends string>(
  fields: readonly Field[],
  body: { readonly [Name in Field]?: string | undefined },
): readonly [field: Field, value: string] {
  const given = fields.flatMap((field) => {
    const value = body[field];
    return value === undefined ? [] : [[field, value] as const];
  });
  const [first, second] = given;
  if (first && !second) return first;
  const field = second ? `/${second[0]}` : "";
  throw validationError([{ field, rule: "oneOf", fix: `name exactly one of ${fields.join(", ")}` }]);
}

/** The cursor at `field` is that of another stream, or none. */
export function foreignCursor(field: string): StraitError {
  const fix = "pass the id of the last event that this stream sent, or leave it out to start with a snapshot";
  return validationError([{ field, rule: "cursor", fix }]);
}

/** The cursor at `field` is that of another list, or none. */
export function foreignPage(field: string): StraitError {
  const fix =
    "pass next_cursor of the previous page of this list unchanged, or leave cursor out to start at the first page";
  return validationError([{ field, rule: "cursor", fix }]);
}

/** The step at `index` names a job that there is not. */
export function unknownJob(index: number, reference: string | null): ErrorIssue {
  const fix = `create the job ${JSON.stringify(reference)} first, or correct the reference`;
  return { field: `/steps/${index}/job_id`, rule: "knownJob", fix };
}
