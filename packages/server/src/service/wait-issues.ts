import type { ErrorIssue, EventTrigger } from "@strait/contract";
import { endpointIssue } from "./endpoint-rules.ts";
import { filterIssue } from "./filter.ts";
import { schemaIssue } from "./payload-schema.ts";

/** What of a wait is checked when it is written down: by a run that opens it, or in a step of a workflow. */
type Checked = Pick<EventTrigger, "notify_url" | "payload_schema" | "filter">;

/**
 * What is wrong with a wait beyond the contract's schema.
 *
 * @param base - A pointer to where the wait's fields stand.
 */
export function waitIssues(wait: Checked, base: string, allowPrivate: boolean): ErrorIssue[] {
  const { notify_url, payload_schema, filter } = wait;
  return [
    notify_url === null ? undefined : endpointIssue(`${base}/notify_url`, notify_url, allowPrivate),
    payload_schema === null ? undefined : schemaIssue(payload_schema, `${base}/payload_schema`),
    filter === null ? undefined : filterIssue(filter, `${base}/filter`),
  ].filter((issue) => issue !== undefined);
}
