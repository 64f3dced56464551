import type { ErrorIssue, StepType, WorkflowStep, WorkflowStepInput } from "@strait/contract";
import {
  checkEventKey,
  dependencyTest,
  formatDuration,
  graphProblems,
  jsonPointer,
  parseDuration,
  parsePositiveDuration,
  templatePaths,
} from "@strait/core";
import { DEFAULT_TIMEOUT_SECS } from "./defaults.ts";

/** What to do about a wait that says how it treats others twice. */
export const ON_CONFLICT_OR_BROADCAST =
  "remove on_conflict or broadcast: what is broadcast waits beside others already";

/** Seconds that a step waits for its event when it does not say how long. */

/** What a column of whole seconds holds: about 68 years. */
const MAX_SECS = 2_147_483_647;

export type NormalizedSteps =
  | { readonly ok: true; readonly steps: WorkflowStep[] }
  | { readonly ok: false; readonly issues: readonly [ErrorIssue, ...ErrorIssue[]] };

/**
 * Brings steps as they are written into their canonical form, and checks what the contract's schema cannot: the fields
 * of each type, fields with two names, durations, placeholders and the graph.
 *
 * @param inputs - Steps that keep the contract's schema.
 * @returns The steps in the order given, with every field set; or all issues, with pointers such as `/steps/2/job_id`.
 */
export function normalizeSteps(inputs: readonly WorkflowStepInput[]): NormalizedSteps {
  const issues: ErrorIssue[] = [];
  const pairs = inputs.map((input, index) => ({ input, step: normalize(input, reporter(issues, index)) }));
  const steps = pairs.map(({ step }) => step);
  addTimeoutEdges(steps, issues);
  // As written, so that a pointer to a dependency counts repeated ones; what was added comes behind.
  const graph = graphProblems(
    pairs.map(({ input: { step_ref, depends_on = [] }, step }) => {
      const added = step.depends_on.filter((ref) => !depends_on.includes(ref));
      return { step_ref, depends_on: [...depends_on, ...added] };
    }),
  );
  issues.push(...graph.map(({ rule, pointer, fix }) => ({ field: `/steps${pointer}`, rule, fix })));
  // Which outputs a step can use is known once the graph is one.
  if (graph.length === 0) checkOutputs(steps, issues);
  const [first, ...others] = issues;
  return first ? { ok: false, issues: [first, ...others] } : { ok: true, steps };
}

/** The step that runs on a timeout comes after the wait, whether or not it says so. */
function addTimeoutEdges(steps: readonly WorkflowStep[], issues: ErrorIssue[]): void {
  for (const [index, { step_ref, timeout_step }] of steps.entries()) {
    if (timeout_step === null) continue;
    const target = steps.find((step) => step.step_ref === timeout_step);
    if (target === undefined || timeout_step === step_ref) {
      reporter(issues, index)("timeout_step", "knownStep", "name another step of this workflow");
    } else if (!target.depends_on.includes(step_ref)) target.depends_on.push(step_ref);
  }
}

/**
 * How long a canonical sleep step sleeps: whole seconds, rounded up.
 *
 * @throws {RangeError} When the text is no duration, which {@link normalizeSteps} would have refused.
 */
export function sleepSecs(sleepDuration: string): number {
  const parsed = parseDuration(sleepDuration);
  if (!parsed.ok) throw new RangeError(`"${sleepDuration}" is no duration: ${parsed.problem.fix}`);
  return Math.ceil(parsed.value / 1_000);
}

/** Notes an issue with one field of one step; `pointer` leads on from the field. */
type Report = (field: string, rule: string, fix: string, pointer?: string) => void;

function reporter(issues: ErrorIssue[], index: number): Report {
  return (field, rule, fix, pointer = "") => {
    issues.push({ field: jsonPointer("steps", index, field) + pointer, rule, fix });
  };
}

type Field = Exclude<
  keyof WorkflowStepInput,
  "step_ref" | "type" | "step_type" | "depends_on" | "on_failure" | "event_emit_key"
>;

/** Which step type a field belongs to. */
const typeOf: Readonly<Record<Field, StepType>> = {
  job_id: "job",
  payload: "job",
  event_key: "wait_for_event",
  timeout_secs: "wait_for_event",
  event_timeout_secs: "wait_for_event",
  grace_secs: "wait_for_event",
  notify_url: "wait_for_event",
  event_notify_url: "wait_for_event",
  payload_schema: "wait_for_event",
  filter: "wait_for_event",
  on_timeout: "wait_for_event",
  timeout_payload: "wait_for_event",
  timeout_step: "wait_for_event",
  on_cancel: "wait_for_event",
  on_conflict: "wait_for_event",
  broadcast: "wait_for_event",
  accept_buffered: "wait_for_event",
  pick: "wait_for_event",
  sleep_duration: "sleep",
  sleep_duration_secs: "sleep",
};

/** The field without which a step of this type is nothing. */
const required = { job: "job_id", wait_for_event: "event_key", sleep: "sleep_duration" } as const;

function normalize(input: WorkflowStepInput, report: Report): WorkflowStep {
  const type = either(input, "type", "step_type", report) ?? "job";
  refuseForeignFields(input, type, report);
  const step: WorkflowStep = {
    step_ref: input.step_ref,
    type,
    depends_on: [...new Set(input.depends_on)],
    on_failure: input.on_failure ?? "fail_workflow",
    job_id: null,
    payload: null,
    event_key: null,
    timeout_secs: null,
    grace_secs: null,
    notify_url: null,
    payload_schema: null,
    filter: null,
    on_timeout: null,
    timeout_payload: null,
    timeout_step: null,
    on_cancel: null,
    on_conflict: null,
    broadcast: null,
    accept_buffered: null,
    pick: null,
    sleep_duration: null,
    event_emit_key: input.event_emit_key ?? null,
  };
  checkKeyTemplate("event_emit_key", step.event_emit_key, report);
  if (type === "job") addJob(step, input, report);
  else if (type === "wait_for_event") addWait(step, input, report);
  else step.sleep_duration = sleepDuration(input, report);
  if (step[required[type]] === null) {
    report(required[type], "required", `add ${required[type]}, which a step of type ${type} needs`);
  }
  return step;
}

function addJob(step: WorkflowStep, input: WorkflowStepInput, report: Report): void {
  step.job_id = input.job_id ?? null;
  step.payload = input.payload ?? null;
  for (const { pointer, rule, fix } of templatePaths(step.payload).problems) report("payload", rule, fix, pointer);
}

function addWait(step: WorkflowStep, input: WorkflowStepInput, report: Report): void {
  step.event_key = input.event_key ?? null;
  const timeoutSecs = either(input, "timeout_secs", "event_timeout_secs", report);
  step.timeout_secs = timeoutSecs === undefined ? DEFAULT_TIMEOUT_SECS : timeoutSecs;
  step.grace_secs = input.grace_secs ?? 0;
  step.notify_url = either(input, "notify_url", "event_notify_url", report) ?? null;
  step.payload_schema = input.payload_schema ?? null;
  step.filter = input.filter ?? null;
  step.on_timeout = input.on_timeout ?? null;
  step.timeout_payload = input.timeout_payload ?? null;
  step.timeout_step = input.timeout_step ?? null;
  if (step.on_timeout === "step" && step.timeout_step === null) {
    report("timeout_step", "required", "name the step that runs when nobody has answered in time");
  }
  if (step.on_timeout !== "step" && step.timeout_step !== null) {
    report("timeout_step", "onlyWithStep", 'remove it, or set on_timeout to "step"');
  }
  step.on_cancel = input.on_cancel ?? null;
  step.accept_buffered = input.accept_buffered ?? "any";
  step.pick = input.pick ?? "oldest";
  step.on_conflict = input.on_conflict ?? "fail";
  step.broadcast = input.broadcast ?? false;
  if (step.broadcast && step.on_conflict !== "fail")
    report("on_conflict", "notWithBroadcast", ON_CONFLICT_OR_BROADCAST);
  checkKeyTemplate("event_key", step.event_key, report);
}

/** A template without placeholders is a key already. */
function checkKeyTemplate(field: "event_key" | "event_emit_key", template: string | null, report: Report): void {
  if (template === null) return;
  const { paths, problems } = templatePaths(template);
  for (const { rule, fix } of problems) report(field, rule, fix);
  if (paths.length > 0 || problems.length > 0) return;
  const key = checkEventKey(template);
  if (!key.ok) report(field, key.problem.rule, key.problem.fix);
}

/** Keeps the text where there is one; `sleep_duration_secs` becomes such a text. */
function sleepDuration(input: WorkflowStepInput, report: Report): string | null {
  const { sleep_duration: text = null, sleep_duration_secs: secs = null } = input;
  if (text === null) return secs === null ? null : formatDuration(secs * 1_000);
  const parsed = parsePositiveDuration(text);
  if (!parsed.ok) report("sleep_duration", parsed.problem.rule, parsed.problem.fix);
  else if (parsed.value > MAX_SECS * 1_000) {
    report("sleep_duration", "maximum", `sleep at most ${MAX_SECS} seconds (about 68 years) instead of "${text}"`);
  } else if (secs !== null && parsed.value !== secs * 1_000)
    refuseBoth("sleep_duration", "sleep_duration_secs", report);
  return text;
}

/** The value of a field with two names; undefined when neither is given. */
function either<Name extends keyof WorkflowStepInput, Alias extends keyof WorkflowStepInput>(
  input: WorkflowStepInput,
  name: Name,
  alias: Alias,
  report: Report,
): WorkflowStepInput[Name] | WorkflowStepInput[Alias] {
  const value = input[name];
  const other = input[alias];
  if (value === undefined) return other;
  if (other !== undefined && (other as unknown) !== value) refuseBoth(name, alias, report);
  return value;
}

function refuseBoth(name: string, alias: string, report: Report): void {
  report(alias, "sameValue", `remove ${alias}: it is another name of ${name}, which has a different value`);
}

function refuseForeignFields(input: WorkflowStepInput, type: StepType, report: Report): void {
  for (const field of Object.keys(typeOf) as Field[]) {
    const owner = typeOf[field];
    if (owner === type || input[field] === undefined || input[field] === null) continue;
    report(field, "fieldOfType", `remove ${field}, or set type to "${owner}": this step is of type ${type}`);
  }
}

/**
 * A step can use the outputs of those that it depends on, however indirectly: they have ended when it starts. What it
 * emits when it completes can use its own too.
 */
function checkOutputs(steps: readonly WorkflowStep[], issues: ErrorIssue[]): void {
  const refs = new Set(steps.map((step) => step.step_ref));
  const dependsOn = dependencyTest(steps);
  for (const [index, step] of steps.entries()) {
    const report = reporter(issues, index);
    for (const field of ["payload", "event_key", "event_emit_key"] as const) {
      for (const { placeholder, path, pointer } of templatePaths(step[field]).paths) {
        const [name, ref] = path;
        if (name !== "parent_outputs" || ref === undefined || dependsOn(step.step_ref, ref)) continue;
        if (field === "event_emit_key" && ref === step.step_ref) continue;
        const fix =
          refs.has(ref) && ref !== step.step_ref
            ? `add "${ref}" to depends_on, so that ${placeholder} has a value when "${step.step_ref}" starts`
            : `name a step that "${step.step_ref}" depends on instead of "${ref}" in ${placeholder}`;
        report(field, "knownOutput", fix, pointer);
      }
    }
  }
}
