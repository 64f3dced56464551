// Every rule is proven: its id stands in the title of a test, or the conformance suite has a check for it. Prints the ids
// without a test, the ids in titles that no rule has, and the rules that are still waited for although they have a test.

import { readFileSync } from "node:fs";
import path from "node:path";
import { checks } from "../conformance/src/checks/all.ts";
import { rules } from "../conformance/src/rules.ts";
import { listFiles } from "./list-files.ts";
import { titlesOf } from "./test-titles.ts";
import { root } from "./workspace.ts";

/** Rules whose behavior is still being built. It shrinks, and ends empty. */
const pending: readonly string[] = [];

const RULE_ID = /(?<![\w-])(?:(?:U|B|S|R|P|O|X|T|W|L|Q|K)[1-9]|(?:ST|GR)-\d{2})(?![\w-])/g;

/** Where each id stands in a title. */
const named = new Map<string, string>(checks.map(({ rule }) => [rule, "conformance"]));
for (const file of listFiles().filter((name) => name.endsWith(".test.ts"))) {
  for (const title of titlesOf(readFileSync(path.join(root, file), "utf8"))) {
    for (const [id] of title.matchAll(RULE_ID)) named.set(id, file);
  }
}

const ids = new Set<string>(rules.map(({ id }) => id));
const problems = [
  ...rules.flatMap(({ id, says }) => (named.has(id) || pending.includes(id) ? [] : [`${id} has no test: ${says}`])),
  ...[...named].flatMap(([id, file]) => (ids.has(id) ? [] : [`${file} names ${id}, and no rule is called so`])),
  ...pending.flatMap((id) =>
    named.has(id) ? [`${id} has a test: take it off the pending rules of scripts/check-rules.ts`] : [],
  ),
];
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
