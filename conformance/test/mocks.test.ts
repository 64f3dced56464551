import { createMockServer } from "@strait/msw";
import { setupServer } from "msw/node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checks } from "../src/checks/all.ts";
import { eventRules, promises, type RuleId } from "../src/rules.ts";
import { type Result, runSuite } from "../src/suite.ts";

const PROJECT = "The mocks have one project.";
const DELETIONS = "The mocks delete no waits and no events.";
const WEBHOOKS = "The mocks notify nobody.";

/** The rules that do not hold of mocks, and why. */
const notModeled: { readonly [Rule in RuleId]?: string } = {
  U5: PROJECT,
  R8: "The mocks have no groups of waits.",
  P2: PROJECT,
  W4: DELETIONS,
  "ST-14": DELETIONS,
  "ST-11": WEBHOOKS,
  "ST-20": WEBHOOKS,
};

const says = new Map<string, string>([...eventRules, ...promises].map((rule) => [rule.id, rule.says]));
const baseUrl = "https://mock.strait.dev";

describe("the rules, proven over fetch against the mocks", () => {
  const strait = createMockServer({ baseUrl, keepaliveMs: 500, executor: (request) => fetch(request) });
  const interceptor = setupServer(...strait.handlers);
  const modeled = checks.filter(({ rule }) => notModeled[rule] === undefined);
  let results: readonly Result[] = [];

  beforeAll(async () => {
    // The endpoint of the suite's jobs is a server of its own.
    interceptor.listen({ onUnhandledRequest: "bypass" });
    results = await runSuite({ urls: [baseUrl], apiKey: "strait_conformance" }, modeled);
  });
  afterAll(() => {
    strait.close();
    interceptor.close();
  });

  test.each(modeled.map(({ rule }) => [rule, says.get(rule) ?? ""] as const))("%s %s", (rule) => {
    const result = results.find((one) => one.rule === rule);

    expect(result?.verdict).toEqual({ kind: "pass" });
  });
});
