import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checks } from "../src/checks/all.ts";
import { type LocalServer, startLocalServer } from "../src/local-server.ts";
import { eventRules, promises } from "../src/rules.ts";
import { type Result, runSuite } from "../src/suite.ts";

const says = new Map<string, string>([...eventRules, ...promises].map((rule) => [rule.id, rule.says]));
const titles = checks.map(({ rule }) => [rule, says.get(rule) ?? ""] as const);

describe.each([1, 3])("the rules, proven over HTTP against a server of %i processes", (processes) => {
  let server: LocalServer;
  let results: readonly Result[] = [];

  beforeAll(async () => {
    server = await startLocalServer(processes);
    results = await runSuite(server.target, checks);
  });
  afterAll(() => server.stop());

  test.each(titles)("%s %s", (rule) => {
    const result = results.find((one) => one.rule === rule);

    expect(result?.verdict).toEqual({ kind: "pass" });
  });

  test("leave nothing in the server's log", () => {
    expect(server.log).toBe("");
  });
});

describe("the list of checks", () => {
  test("has each rule once", () => {
    const ids = checks.map(({ rule }) => rule);

    expect(ids).toEqual([...new Set(ids)]);
  });
});
