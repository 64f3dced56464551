import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { renderTemplate, renderText, type TemplateScope, templatePaths } from "./template.ts";

const scope: TemplateScope = {
  payload: {
    user_id: "user-456",
    amount: 7,
    vip: true,
    none: null,
    empty: "",
    tags: ["a", { "b-c": 1 }],
    payload: "inner",
  },
  parent_outputs: { "aml-check": { result: "clear", risk_score: 0.05 } },
  workflow_run_id: "wfr_1",
  workflow_id: "wf_1",
  project_id: "proj_1",
  step_ref: "create-account",
};

describe("a template", () => {
  test.each([
    ["aml:{{payload.user_id}}", "aml:user-456"],
    ["{{parent_outputs.aml-check.result}}", "clear"],
    ["{{parent_outputs.aml-check.risk_score}}", 0.05],
    ["{{parent_outputs}}", { "aml-check": { result: "clear", risk_score: 0.05 } }],
    ["{{workflow_run_id}}/{{workflow_id}}/{{project_id}}/{{step_ref}}", "wfr_1/wf_1/proj_1/create-account"],
    ["{{user_id}}", "user-456"],
    ["{{payload.payload}}", "inner"],
    ["{{  payload.amount }}", 7],
    ["{{payload.amount}} EUR", "7 EUR"],
    ["{{payload.vip}}", true],
    ["vip: {{payload.vip}}", "vip: true"],
    ["{{payload.none}}", null],
    ["[{{payload.none}}]", "[]"],
    ["{{payload.tags}}", ["a", { "b-c": 1 }]],
    ["{{payload.tags.0}}", "a"],
    ["{{tags.1.b-c}}", 1],
    ["tags={{payload.tags}}", 'tags=["a",{"b-c":1}]'],
    ["no placeholder } } {", "no placeholder } } {"],
    ["", ""],
  ])("renders %s", (template, value) => {
    expect(renderTemplate(template, scope)).toEqual({ ok: true, value });
  });

  test("is filled in all strings, however deep, but not in names", () => {
    const template = { "{{user_id}}": [{ id: "{{user_id}}", n: 1, no: null, yes: true }, "{{payload.amount}}"] };
    expect(renderTemplate(template, scope)).toEqual({
      ok: true,
      value: { "{{user_id}}": [{ id: "user-456", n: 1, no: null, yes: true }, 7] },
    });
  });

  test("does not render what it puts in", () => {
    expect(renderTemplate("{{x}} {{x}}", { ...scope, payload: { x: "{{user_id}}" } })).toEqual({
      ok: true,
      value: "{{user_id}} {{user_id}}",
    });
  });

  test("keeps a member called __proto__ a member", () => {
    const value = JSON.parse('{"__proto__":{"a":1}}');
    expect(JSON.stringify(renderTemplate(value, scope))).toBe('{"ok":true,"value":{"__proto__":{"a":1}}}');
    expect(renderTemplate("{{payload.__proto__.a}}", { ...scope, payload: value })).toEqual({ ok: true, value: 1 });
  });

  test.each([
    ["{{payload.unknown}}", 'payload, an object, has no "unknown"'],
    ["{{unknown}}", 'payload, an object, has no "unknown"'],
    ["x {{payload.user_id.name}}", 'payload.user_id, a string, has no "name"'],
    ["{{payload.none.name}}", 'payload.none, null, has no "name"'],
    ["{{payload.tags.2}}", 'payload.tags, an array, has no "2"'],
    ["{{payload.tags.00}}", 'payload.tags, an array, has no "00"'],
    ["{{payload.tags.length}}", 'payload.tags, an array, has no "length"'],
    ["{{payload.__proto__}}", 'payload, an object, has no "__proto__"'],
    ["{{payload.constructor.name}}", 'payload, an object, has no "constructor"'],
    ["{{payload.user_id.length}}", 'payload.user_id, a string, has no "length"'],
    ["{{parent_outputs.other.result}}", 'parent_outputs, an object, has no "other"'],
    ["{{step_ref.x}}", 'step_ref, a string, has no "x"'],
  ])("says what %s lacks", (template, why) => {
    const placeholder = template.replace("x {{", "{{");
    expect(renderTemplate({ a: ["fine", template, "{{also.unknown}}"] }, scope)).toEqual({
      ok: false,
      placeholder,
      pointer: "/a/1",
      message: `${placeholder} has no value: ${why}`,
    });
  });

  test("that was saved with a bad placeholder fails when it is rendered", () => {
    expect(renderTemplate("{{payload..x}}", scope)).toMatchObject({ ok: false, placeholder: "{{payload..x}}" });
    expect(renderText("{{a b}}", scope)).toMatchObject({ ok: false, placeholder: "{{a b}}", pointer: "" });
  });
});

describe("a template for a name", () => {
  test("is filled with strings, numbers and booleans", () => {
    expect(renderText("{{user_id}}:{{amount}}:{{vip}}", scope)).toEqual({ ok: true, value: "user-456:7:true" });
    expect(renderText("{{amount}}", scope)).toEqual({ ok: true, value: "7" });
    expect(renderText("plain", scope)).toEqual({ ok: true, value: "plain" });
  });

  test.each([
    ["aml:{{payload.none}}", "{{payload.none}} has no value: it is null, not a string or a number"],
    ["aml:{{payload.tags}}", "{{payload.tags}} has no value: it is an array, not a string or a number"],
    ["aml:{{payload}}", "{{payload}} has no value: it is an object, not a string or a number"],
    ["aml:{{payload.empty}}", "{{payload.empty}} has no value: it is the empty string"],
    ["aml:{{payload.missing}}", '{{payload.missing}} has no value: payload, an object, has no "missing"'],
  ])("never has a hole: %s", (template, message) => {
    expect(renderText(template, scope)).toMatchObject({ ok: false, message });
  });
});

describe("the placeholders of a template", () => {
  test("are read without being filled", () => {
    expect(templatePaths({ a: ["x{{ user_id }}{{parent_outputs.aml-check.0}}"], b: 1, c: "{{step_ref}}" })).toEqual({
      paths: [
        { placeholder: "{{ user_id }}", path: ["payload", "user_id"], pointer: "/a/0" },
        { placeholder: "{{parent_outputs.aml-check.0}}", path: ["parent_outputs", "aml-check", "0"], pointer: "/a/0" },
        { placeholder: "{{step_ref}}", path: ["step_ref"], pointer: "/c" },
      ],
      problems: [],
    });
  });

  test.each([
    "{{}}",
    "{{ }}",
    "{{payload.}}",
    "{{.x}}",
    "{{a b}}",
    "{{{x}}}",
    "{{payload.x",
    "{{payload.x}",
    "a{{",
    "{{ü}}",
    "{{x\n}}",
  ])("are refused when they look like %j", (text) => {
    expect(templatePaths([text])).toMatchObject({ paths: [], problems: [{ rule: "placeholder", pointer: "/0" }] });
  });

  test("are quoted when they are refused, but not at any length", () => {
    const fix = (shown: string) =>
      `write a placeholder such as {{payload.user_id}} instead of ${shown}; literal {{ can only come from the payload`;
    expect(templatePaths("{{a b}}").problems).toEqual([{ rule: "placeholder", pointer: "", fix: fix("{{a b}}") }]);
    expect(templatePaths(`{{${"x ".repeat(1000)}}}`).problems[0]?.fix).toBe(fix(`{{${"x ".repeat(29)}…`));
  });

  test.each([
    ["{{paylod.user.id}}", "{{payload.user.id}}", "{{payload.paylod.user.id}}"],
    ["{{paylaod}}", "{{payload}}", "{{payload.paylaod}}"],
    ["{{Payload.x}}", "{{payload.x}}", "{{payload.Payload.x}}"],
    ["{{parentOutputs.a}}", "{{parent_outputs.a}}", "{{payload.parentOutputs.a}}"],
    ["{{parent_output.a}}", "{{parent_outputs.a}}", "{{payload.parent_output.a}}"],
    ["{{workflowRunId}}", "{{workflow_run_id}}", "{{payload.workflowRunId}}"],
    ["{{step_rev}}", "{{step_ref}}", "{{payload.step_rev}}"],
  ])("are refused when their name is a slip: %s", (template, meant, literal) => {
    const member = template.slice(2, -2).split(".")[0];

    const { problems } = templatePaths({ a: template });

    const fix = `write ${meant}, or ${literal} if the payload has a member "${member}"`;
    expect(problems).toEqual([{ rule: "scopeName", pointer: "/a", fix }]);
    expect(templatePaths(literal).problems).toEqual([]);
  });

  test.each([
    "{{bogus.x}}",
    "{{project.name}}",
    "{{step.ref}}",
    "{{payee}}",
    "{{x}}",
    "{{workflow.id}}",
    "{{daolyap}}",
  ])("may begin with any other name of the payload: %s", (template) => {
    expect(templatePaths(template).problems).toEqual([]);
  });

  test("are read in linear time", () => {
    const braces = "{{".repeat(500_000);
    expect(templatePaths(braces).problems).toHaveLength(1);
    expect(templatePaths(`{{${" ".repeat(500_000)}x`).problems).toHaveLength(1);
    expect(templatePaths(`{{${" ".repeat(500_000)}}}`).problems).toHaveLength(1);
  });
});

test("a JSON value without braces renders to itself", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      fc.pre(!JSON.stringify(value).includes("{{"));
      expect(renderTemplate(value, scope)).toEqual({ ok: true, value });
    }),
  );
});

test("a placeholder for any member of the payload gives that member, and twice in a text gives its text twice", () => {
  const name = fc.stringMatching(/^[A-Za-z0-9_-]{1,8}$/);
  fc.assert(
    fc.property(name, name, fc.jsonValue(), (outer, inner, value) => {
      const payload = Object.fromEntries([[outer, Object.fromEntries([[inner, value]])]]);
      const placeholder = `{{payload.${outer}.${inner}}}`;
      const text = value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
      expect(renderTemplate(placeholder, { ...scope, payload })).toEqual({ ok: true, value });
      expect(renderTemplate(placeholder + placeholder, { ...scope, payload })).toEqual({
        ok: true,
        value: text + text,
      });
    }),
  );
});
