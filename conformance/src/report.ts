import { eventRules, promises, type RuleId } from "./rules.ts";
import type { Result } from "./suite.ts";

const says = new Map<RuleId, string>([...eventRules, ...promises].map((rule) => [rule.id, rule.says]));
const order = [...says.keys()];
const words = { pass: "pass", fail: "FAIL", skip: "skipped" } as const;

/** The rules in the order of their list, each with what became of it and why. */
export function table(results: readonly Result[]): string {
  const sorted = [...results].sort((a, b) => order.indexOf(a.rule) - order.indexOf(b.rule));
  const width = Math.max(...sorted.map(({ rule }) => says.get(rule)?.length ?? 0));
  const lines = sorted.map(({ rule, verdict }) => {
    const line = `${rule.padEnd(6)} ${(says.get(rule) ?? "").padEnd(width)}  ${words[verdict.kind]}`;
    return verdict.kind === "pass" ? line : `${line}\n${verdict.why.replace(/^/gm, "         ")}`;
  });
  return lines.join("\n");
}

/** Such as `58 passed, 1 failed, 2 skipped in 21.4 s`. */
export function summary(results: readonly Result[], ms: number): string {
  const count = (kind: Result["verdict"]["kind"]) => results.filter(({ verdict }) => verdict.kind === kind).length;
  const skipped = count("skip") > 0 ? `, ${count("skip")} skipped` : "";
  return `${count("pass")} passed, ${count("fail")} failed${skipped} in ${(ms / 1000).toFixed(1)} s`;
}
