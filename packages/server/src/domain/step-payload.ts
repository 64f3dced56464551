import type { StepRun } from "@strait/contract";

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * Puts together the payload of a job step: the workflow run's payload, overlaid by the step's own member by member, and
 * under `parent_outputs` what its dependencies gave. So a step without a payload still gets both.
 *
 * Where either payload is something else than an object (null counts as an empty one) there is nothing to merge: the
 * step's own is used as it is, or else the workflow run's.
 *
 * @param own - The step's payload with its placeholders filled; null when it has none.
 * @param parentOutputs - Outputs of the direct dependencies that completed, by `step_ref`.
 */
export function stepPayload(workflowPayload: unknown, own: unknown, parentOutputs: JsonObject): unknown {
  const base = workflowPayload ?? {};
  const overlay = own ?? {};
  if (!isObject(base) || !isObject(overlay)) return own ?? workflowPayload;
  const merged = { ...base, ...overlay };
  return Object.keys(parentOutputs).length === 0 ? merged : { ...merged, parent_outputs: parentOutputs };
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * What an ended step has for those behind it: its output; or, when its wait was called off and they start all the same
 * (R5), who did that and why. None for any other.
 */
export function outputOf({
  status,
  output,
  cancellation,
}: Pick<StepRun, "status" | "output" | "cancellation">): unknown[] {
  if (status === "completed") return [output];
  return cancellation === null ? [] : [{ cancellation }];
}
