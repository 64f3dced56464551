import type { WorkflowStepInput } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { normalizeSteps, sleepSecs } from "./normalize-steps.ts";

const empty = {
  depends_on: [],
  on_failure: "fail_workflow",
  job_id: null,
  payload: null,
  event_key: null,
  timeout_secs: null,
  notify_url: null,
  payload_schema: null,
  filter: null,
  on_timeout: null,
  timeout_payload: null,
  timeout_step: null,
  on_conflict: null,
  broadcast: null,
  sleep_duration: null,
  event_emit_key: null,
};

function canonical(...inputs: WorkflowStepInput[]): unknown {
  const normalized = normalizeSteps(inputs);
  return normalized.ok ? normalized.steps : normalized.issues;
}

/** The issues as `field rule`, without the advice. */
function issues(...inputs: WorkflowStepInput[]): string[] {
  const normalized = normalizeSteps(inputs);
  return normalized.ok ? [] : normalized.issues.map(({ field, rule }) => `${field} ${rule}`);
}

describe("the canonical form of steps", () => {
  test("has every field, those of other types as null", () => {
    const steps: WorkflowStepInput[] = [
      { step_ref: "collect-data", job_id: "job_collect_user_data" },
      {
        step_ref: "aml-check",
        type: "wait_for_event",
        event_key: "aml:{{payload.user_id}}",
        timeout_secs: 86_400,
        depends_on: ["collect-data"],
      },
      { step_ref: "wait-24h", type: "sleep", sleep_duration: "24h", depends_on: ["aml-check"], on_failure: "continue" },
    ];
    expect(canonical(...steps)).toEqual([
      { ...empty, step_ref: "collect-data", type: "job", job_id: "job_collect_user_data" },
      {
        ...empty,
        step_ref: "aml-check",
        type: "wait_for_event",
        event_key: "aml:{{payload.user_id}}",
        timeout_secs: 86_400,
        on_conflict: "fail",
        broadcast: false,
        depends_on: ["collect-data"],
      },
      {
        ...empty,
        step_ref: "wait-24h",
        type: "sleep",
        sleep_duration: "24h",
        depends_on: ["aml-check"],
        on_failure: "continue",
      },
    ]);
    expect(canonical()).toEqual([]);
  });

  test("takes the original API's names", () => {
    const wait: WorkflowStepInput = {
      step_ref: "w",
      step_type: "wait_for_event",
      event_key: "k",
      event_timeout_secs: 60,
      event_notify_url: "https://example.com/hook",
    };
    const sleep: WorkflowStepInput = { step_ref: "s", step_type: "sleep", sleep_duration_secs: 5_400 };
    expect(canonical(wait, sleep)).toEqual([
      {
        ...empty,
        on_conflict: "fail",
        broadcast: false,
        step_ref: "w",
        type: "wait_for_event",
        event_key: "k",
        timeout_secs: 60,
        notify_url: "https://example.com/hook",
      },
      { ...empty, step_ref: "s", type: "sleep", sleep_duration: "1h30m" },
    ]);
  });

  test("waits an hour by default, and without a deadline when that is asked for", () => {
    const wait: WorkflowStepInput = { step_ref: "w", type: "wait_for_event", event_key: "k" };
    expect(canonical(wait)).toMatchObject([{ timeout_secs: 3_600 }]);
    expect(canonical({ ...wait, timeout_secs: null })).toMatchObject([{ timeout_secs: null }]);
    expect(canonical({ ...wait, event_timeout_secs: null })).toMatchObject([{ timeout_secs: null }]);
  });

  test("U2 U3 has the key to itself, and says in one way only how it shares it", () => {
    const wait: WorkflowStepInput = { step_ref: "w", type: "wait_for_event", event_key: "k" };
    expect(canonical(wait)).toMatchObject([{ on_conflict: "fail", broadcast: false }]);
    expect(canonical({ ...wait, on_conflict: "join" })).toMatchObject([{ on_conflict: "join", broadcast: false }]);
    expect(canonical({ ...wait, broadcast: true })).toMatchObject([{ on_conflict: "fail", broadcast: true }]);
    expect(issues({ ...wait, broadcast: true, on_conflict: "join" })).toEqual([
      "/steps/0/on_conflict notWithBroadcast",
    ]);
    expect(issues({ step_ref: "j", job_id: "j", broadcast: true })).toEqual(["/steps/0/broadcast fieldOfType"]);
  });

  test("counts a repeated dependency once", () => {
    const [first, second]: WorkflowStepInput[] = [
      { step_ref: "a", job_id: "j" },
      { step_ref: "b", job_id: "j" },
    ];
    expect(canonical(first as WorkflowStepInput, { ...second, step_ref: "b", depends_on: ["a", "a"] })).toMatchObject([
      {},
      { depends_on: ["a"] },
    ]);
  });

  test("is its own canonical form", () => {
    const first = normalizeSteps([
      { step_ref: "a", job_id: "j", payload: { x: "{{payload.y}}" } },
      { step_ref: "b", type: "wait_for_event", event_key: "k", depends_on: ["a"] },
      { step_ref: "c", type: "sleep", sleep_duration: "1.5h" },
    ]);
    const steps = first.ok ? first.steps : [];
    expect(normalizeSteps(steps as WorkflowStepInput[])).toEqual(first);
  });
});

describe("a field with two names", () => {
  const wait: WorkflowStepInput = { step_ref: "w", event_key: "k" };

  test("may be given twice with one value", () => {
    expect(issues({ ...wait, type: "wait_for_event", step_type: "wait_for_event" })).toEqual([]);
    expect(issues({ ...wait, type: "wait_for_event", timeout_secs: null, event_timeout_secs: null })).toEqual([]);
    expect(issues({ step_ref: "s", type: "sleep", sleep_duration: "1.5h", sleep_duration_secs: 5_400 })).toEqual([]);
  });

  test("is refused with two values", () => {
    expect(
      canonical({ ...wait, type: "wait_for_event", timeout_secs: 1, event_timeout_secs: 2, notify_url: null }),
    ).toEqual([
      {
        field: "/steps/0/event_timeout_secs",
        rule: "sameValue",
        fix: "remove event_timeout_secs: it is another name of timeout_secs, which has a different value",
      },
    ]);
    expect(issues({ ...wait, type: "wait_for_event", step_type: "job" })).toEqual(["/steps/0/step_type sameValue"]);
    expect(
      issues({ ...wait, type: "wait_for_event", notify_url: null, event_notify_url: "https://a.example" }),
    ).toEqual(["/steps/0/event_notify_url sameValue"]);
    expect(issues({ step_ref: "s", type: "sleep", sleep_duration: "1h", sleep_duration_secs: 1 })).toEqual([
      "/steps/0/sleep_duration_secs sameValue",
    ]);
  });
});

describe("the fields of a step's type", () => {
  test.each<[WorkflowStepInput, string]>([
    [{ step_ref: "a" }, "/steps/0/job_id required"],
    [{ step_ref: "a", type: "wait_for_event" }, "/steps/0/event_key required"],
    [{ step_ref: "a", type: "sleep" }, "/steps/0/sleep_duration required"],
  ])("are required where the step is nothing without: %j", (input, issue) => {
    expect(issues(input)).toEqual([issue]);
  });

  test("are refused where another type owns them", () => {
    const everything: WorkflowStepInput = {
      step_ref: "a",
      job_id: "j",
      payload: 0,
      event_key: "k",
      timeout_secs: 1,
      event_timeout_secs: 1,
      notify_url: "https://a.example",
      event_notify_url: "https://a.example",
      sleep_duration: "1s",
      sleep_duration_secs: 1,
    };
    const fields = Object.keys(everything).slice(1);
    const refused = (owned: string[]) =>
      fields.filter((field) => !owned.includes(field)).map((field) => `/steps/0/${field} fieldOfType`);
    expect(issues({ ...everything, type: "job" })).toEqual(refused(["job_id", "payload"]));
    expect(issues({ ...everything, type: "sleep" })).toEqual(refused(["sleep_duration", "sleep_duration_secs"]));
    expect(issues({ ...everything, type: "wait_for_event" })).toEqual(
      refused(["event_key", "timeout_secs", "event_timeout_secs", "notify_url", "event_notify_url"]),
    );
  });

  test("suggest the type when that is what was forgotten", () => {
    expect(canonical({ step_ref: "a", event_key: "k" })).toEqual([
      {
        field: "/steps/0/event_key",
        rule: "fieldOfType",
        fix: 'remove event_key, or set type to "wait_for_event": this step is of type job',
      },
      { field: "/steps/0/job_id", rule: "required", fix: "add job_id, which a step of type job needs" },
    ]);
  });
});

describe("the values in a step", () => {
  test.each([
    ["tomorrow", "duration"],
    ["0s", "exclusiveMinimum"],
    ["-1h", "exclusiveMinimum"],
    ["24", "durationUnit"],
    ["2147483648s", "maximum"],
  ])("refuse to sleep for %s by the rule %s", (sleep_duration, rule) => {
    expect(issues({ step_ref: "a", type: "sleep", sleep_duration })).toEqual([`/steps/0/sleep_duration ${rule}`]);
  });

  test("refuse placeholders that are none, with a pointer into the payload", () => {
    expect(issues({ step_ref: "a", job_id: "j", payload: { "x/y": ["{{a b}}"] } })).toEqual([
      "/steps/0/payload/x~1y/0 placeholder",
    ]);
    expect(issues({ step_ref: "a", type: "wait_for_event", event_key: "aml:{{payload.}}" })).toEqual([
      "/steps/0/event_key placeholder",
    ]);
  });

  test("refuse a placeholder whose name is nearly one of the scope, but take any other member of the payload", () => {
    expect(issues({ step_ref: "a", job_id: "j", payload: { x: "{{paylod.x}}" } })).toEqual([
      "/steps/0/payload/x scopeName",
    ]);
    expect(issues({ step_ref: "a", type: "wait_for_event", event_key: "k:{{parent_output.b}}" })).toEqual([
      "/steps/0/event_key scopeName",
    ]);
    expect(issues({ step_ref: "a", job_id: "j", payload: "{{bogus.x}}" })).toEqual([]);
  });

  test("refuse an event key that can never be one, but leave a template to be filled", () => {
    expect(issues({ step_ref: "a", type: "wait_for_event", event_key: "stats" })).toEqual([
      "/steps/0/event_key reserved",
    ]);
    expect(issues({ step_ref: "a", type: "wait_for_event", event_key: "{{payload.key}}" })).toEqual([]);
  });

  test("sleep for whole seconds, rounded up", () => {
    expect(sleepSecs("24h")).toBe(86_400);
    expect(sleepSecs("1500ms")).toBe(2);
    expect(sleepSecs("1ns")).toBe(1);
    expect(() => sleepSecs("soon")).toThrow(RangeError);
  });
});

describe("the graph of steps", () => {
  const job = (step_ref: string, ...depends_on: string[]): WorkflowStepInput => ({ step_ref, job_id: "j", depends_on });

  test("is checked with pointers into the request", () => {
    expect(issues(job("a"), job("b", "a", "a", "ghost"), job("b", "b"))).toEqual([
      "/steps/1/depends_on/2 knownRef",
      "/steps/2/step_ref uniqueRef",
      "/steps/2/depends_on/0 noSelfDependency",
    ]);
    expect(issues(job("a", "b"), job("b", "a"))).toEqual(["/steps/0/depends_on noCycle"]);
  });

  test("decides whose outputs a step can use", () => {
    const uses = (ref: string): WorkflowStepInput => ({ ...job("c", "b"), payload: [`{{parent_outputs.${ref}.x}}`] });
    const others = [job("a"), job("b", "a"), job("late", "c")];
    expect(issues(...others, uses("b"))).toEqual([]);
    expect(issues(...others, uses("a"))).toEqual([]);
    expect(issues(...others, { ...job("c", "b"), payload: "{{parent_outputs}}" })).toEqual([]);
    expect(canonical(...others, uses("late"))).toEqual([
      {
        field: "/steps/3/payload/0",
        rule: "knownOutput",
        fix: 'add "late" to depends_on, so that {{parent_outputs.late.x}} has a value when "c" starts',
      },
    ]);
    for (const ref of ["ghost", "c"]) {
      expect(canonical(...others, uses(ref))).toEqual([
        {
          field: "/steps/3/payload/0",
          rule: "knownOutput",
          fix: `name a step that "c" depends on instead of "${ref}" in {{parent_outputs.${ref}.x}}`,
        },
      ]);
    }
    expect(issues(job("a"), { step_ref: "w", type: "wait_for_event", event_key: "k:{{parent_outputs.a.id}}" })).toEqual(
      ["/steps/1/event_key knownOutput"],
    );
  });
});

describe("the event that a step emits", () => {
  const job = { step_ref: "make", job_id: "job_make" };

  test("ST-08 may be emitted by a step of any type, under a key with placeholders", () => {
    const steps: WorkflowStepInput[] = [
      { ...job, event_emit_key: "made:{{payload.id}}:{{parent_outputs.make.no}}" },
      { step_ref: "gate", type: "wait_for_event", event_key: "gate", depends_on: ["make"], event_emit_key: "passed" },
      {
        step_ref: "rest",
        type: "sleep",
        sleep_duration: "1h",
        depends_on: ["gate"],
        event_emit_key: "rested:{{parent_outputs.make.no}}",
      },
      { step_ref: "quiet", type: "sleep", sleep_duration: "1h", event_emit_key: null },
    ];

    expect(canonical(...steps)).toMatchObject(
      steps.map(({ step_ref, event_emit_key }) => ({ step_ref, event_emit_key })),
    );
  });

  test.each([
    ["stats", ["/steps/0/event_emit_key reserved"]],
    ["made:{{payload.id", ["/steps/0/event_emit_key placeholder"]],
    ["made:{{parent_outputs.other.id}}", ["/steps/0/event_emit_key knownOutput"]],
  ])("U6 is refused under the key %j", (event_emit_key, expected) => {
    expect(issues({ ...job, event_emit_key })).toEqual(expected);
  });
});

describe("what a wait says about its timeout", () => {
  const waiting = (change: Partial<WorkflowStepInput>): WorkflowStepInput => ({
    step_ref: "ask",
    type: "wait_for_event",
    event_key: "k",
    ...change,
  });
  const escalate: WorkflowStepInput = { step_ref: "escalate", job_id: "j" };

  test("GR-08 puts the step that runs then behind the wait, whether or not it says so", () => {
    const ask = waiting({ on_timeout: "step", timeout_step: "escalate" });

    for (const target of [escalate, { ...escalate, depends_on: ["ask"] }]) {
      expect(canonical(ask, target)).toMatchObject([{ timeout_step: "escalate" }, { depends_on: ["ask"] }]);
    }
  });

  test.each<[string, Partial<WorkflowStepInput>, string]>([
    ["no step", { on_timeout: "step" }, "/steps/0/timeout_step required"],
    ["itself", { on_timeout: "step", timeout_step: "ask" }, "/steps/0/timeout_step knownStep"],
    ["an unknown step", { on_timeout: "step", timeout_step: "nobody" }, "/steps/0/timeout_step knownStep"],
    ["a step, and another policy", { timeout_step: "escalate" }, "/steps/0/timeout_step onlyWithStep"],
    [
      "nothing, but two ways to treat others",
      { broadcast: true, on_conflict: "join" },
      "/steps/0/on_conflict notWithBroadcast",
    ],
  ])("GR-08 U3 is refused when it names %s", (_, change, issue) => {
    expect(issues(waiting(change), escalate)).toEqual([issue]);
  });
});
