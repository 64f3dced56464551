import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { GeneratedFile } from "./emit.ts";
import { hasMarkers, markersOf, withPart } from "./marked-page.ts";

const PAGE = "docs/guides/events.md";
const markers = markersOf("rules");

/** A rule as `conformance/src/rules.ts` lists it. */
export interface RuleRow {
  readonly id: string;
  readonly says: string;
}

/**
 * The guide to events with the rules that the conformance suite proves, in the order of their list. Nothing while the page
 * or its markers are not there.
 */
export async function ruleTable(root: string): Promise<GeneratedFile[]> {
  const file = path.join(root, PAGE);
  const page = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (!hasMarkers(page, markers)) return [];
  return [{ path: PAGE, content: withPart(page, markers, renderRules(await provenRules(root))) }];
}

/** The tests fail unless each holds on one process and on three, so what the table says is true of every commit. */
export function renderRules(rules: readonly RuleRow[]): string {
  const rows = rules.map(({ id, says }) => `| ${id} | ${says} | pass | pass |\n`);
  return `| Rule | Says | 1 process | 3 processes |\n|---|---|---|---|\n${rows.join("")}`;
}

async function provenRules(root: string): Promise<RuleRow[]> {
  const load = (file: string) => import(pathToFileURL(path.join(root, "conformance", "src", file)).href);
  const { rules } = (await load("rules.ts")) as { rules: readonly RuleRow[] };
  const { checks } = (await load("checks/all.ts")) as { checks: readonly { rule: string }[] };
  return rules.filter(({ id }) => checks.some(({ rule }) => rule === id));
}
