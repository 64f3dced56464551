import type { ErrorIssue, EventTrigger } from "@strait/contract";
import { endpointIssue } from "./endpoint-rules.ts";
import { filtersOf } from "./filter.ts";
import { schemasOf } from "./payload-schema.ts";

/** What of a wait is checked when it is written down: by a run that opens it, or in a step of a workflow. */
interface Checked extends Pick<EventTrigger, "notify_url" | "payload_schema" | "filter" | "on_timeout"> {
  /** Undefined: there is none. */
  readonly timeout_payload: unknown;
}

/**
 * What is wrong with a wait beyond the contract's schema.
 *
 * @param base - A pointer to where the wait's fields stand.
 */
export function waitIssues(projectId: string, wait: Checked, base: string, allowPrivate: boolean): ErrorIssue[] {
  const { notify_url, payload_schema, filter } = wait;
  const schemaProblem =
    payload_schema === null ? undefined : schemasOf(projectId).schemaIssue(payload_schema, `${base}/payload_schema`);
  const issues = [
    notify_url === null ? undefined : endpointIssue(`${base}/notify_url`, notify_url, allowPrivate),
    schemaProblem,
    filter === null ? undefined : filtersOf(projectId).filterIssue(filter, `${base}/filter`),
  ].filter((issue) => issue !== undefined);
  const usable = schemaProblem === undefined ? wait : { ...wait, payload_schema: null };
  return [...issues, ...timeoutIssues(projectId, usable, `${base}/timeout_payload`)];
}

/** What the wait resolves to when nobody answers is an answer, so it has to fit the schema, which was checked. */
export function timeoutIssues(
  projectId: string,
  { on_timeout, timeout_payload, payload_schema }: Pick<Checked, "on_timeout" | "timeout_payload" | "payload_schema">,
  field: string,
): ErrorIssue[] {
  if (on_timeout !== "resolve") {
    if (timeout_payload === undefined) return [];
    return [{ field, rule: "onlyWithResolve", fix: 'remove it, or set on_timeout to "resolve"' }];
  }
  if (timeout_payload === undefined)
    return [{ field, rule: "required", fix: "add what the wait resolves to when nobody answers" }];
  return payload_schema === null ? [] : schemasOf(projectId).payloadIssues(payload_schema, timeout_payload, field);
}
