import { conflict, expectationFailed, type StraitError } from "./errors.ts";

/** What is named by a slug, which it shares with nothing of its kind in its project. */
type Named = "job" | "workflow";

export function slugTaken(what: Named, slug: string): StraitError {
  const message = `the slug ${quote(slug)} is taken by another ${what} of this project; choose another one`;
  return conflict(message, { slug });
}

export function disabled(what: Named, slug: string): StraitError {
  return conflict(`${what} ${quote(slug)} is disabled; enable it to run it`);
}

export function noSteps(slug: string): StraitError {
  return conflict(`workflow ${quote(slug)} has no steps; add one to run it`);
}

/** It is to be deleted, and somebody still needs it. */
export function hasLiveRuns(what: Named, slug: string): StraitError {
  return conflict(`${what} ${quote(slug)} has runs that have not ended; cancel them or let them end first`);
}

/** A deadline is to be changed, and `count` waits share the key. */
export function severalWait(event_key: string, count: number): StraitError {
  const message = `${count} waits share event key ${quote(event_key)}, and each has a deadline of its own; name one by trigger_id`;
  return conflict(message, { event_key });
}

/** A deadline is to be changed that was changed since the caller has read it. */
export function otherVersion(
  { id, event_key, version }: { readonly id: string; readonly event_key: string; readonly version: number },
  given: number,
): StraitError {
  const message =
    `the deadline of event trigger ${quote(event_key)} is at version ${version}, not ${given}; ` +
    "read the trigger, then send again with its version";
  return expectationFailed(message, { trigger_id: id, event_key, version });
}

/** A send to a prefix counts on other waits than there are. */
export function otherSet(found: { readonly count: number; readonly digest: string }): StraitError {
  const message = `other waits are open under the prefix than expected, ${found.count} now; look at them with dry_run, then send again`;
  return expectationFailed(message, { ...found });
}

/** All or none cannot be promised over several requests. */
export function tooManyForOne(size: number): StraitError {
  const message =
    `more than ${size} waits are open under the prefix, which is all that one request can answer under mode "atomic"; ` +
    'raise limit, narrow the prefix, or send with mode "each"';
  return expectationFailed(message, {});
}

const quote = (text: string): string => JSON.stringify(text);
