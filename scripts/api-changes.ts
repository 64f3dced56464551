import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import getReleasePlan from "@changesets/get-release-plan";
import { runTool } from "./run-command.ts";

/** What a release may be, the least first. */
const LEVELS = ["patch", "minor", "major"] as const;
export type Level = (typeof LEVELS)[number];

/** One difference between two contracts. */
export interface ApiChange {
  /** What a release that holds it has to be. */
  readonly level: Level;
  /** What has changed, and where. */
  readonly message: string;
}

/** The part of the report of `redocly diff` that is read here. */
interface Report {
  readonly changes: readonly {
    readonly path: string;
    readonly kind: string;
    readonly impact: Level;
    readonly verdicts: readonly { readonly ruleId: string; readonly message: string }[];
  }[];
}

/**
 * What has changed from one bundled contract to another, as `redocly diff` rates it, but for one rule: enums of answers are
 * open, so a value that they gain breaks nobody.
 *
 * @param base - The file of the contract that clients know.
 * @param revision - The file of the contract as it is to be.
 * @throws {Error} With what redocly said, when it could not compare them.
 */
export async function apiChanges(base: string, revision: string): Promise<ApiChange[]> {
  const folder = mkdtempSync(path.join(tmpdir(), "strait-diff-"));
  try {
    const file = path.join(folder, "report.json");
    const { ok, output } = await runTool("redocly", [
      ...["diff", base, revision, "--format", "json", "--output", file, "--fail-on", "none"],
    ]);
    if (!ok) throw new Error(output);
    const { changes } = JSON.parse(readFileSync(file, "utf8")) as Report;
    return changes.map(({ path: place, kind, impact, verdicts }) => {
      const isOnlyGain = verdicts.length > 0 && verdicts.every(({ ruleId }) => ruleId === "enum-values-added");
      const what = verdicts.length === 0 ? kind : verdicts.map(({ message }) => message).join(" ");
      return { level: isOnlyGain ? "minor" : impact, message: `${decoded(place)}: ${what}` };
    });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** `#/paths/~1v1~1events/get` as people read it. */
function decoded(pointer: string): string {
  return pointer.replace("#/", "").replaceAll("/", " ").replaceAll("~1", "/").replaceAll("~0", "~");
}

/**
 * What the pending changesets make of the next release of the client, as `changeset version` will plan it; undefined when there
 * is none.
 *
 * @param folder - The workspace, which has a folder `.changeset`.
 * @throws {Error} When the changesets contradict each other or the configuration, so that no release can be planned.
 */
export async function plannedLevel(folder: string): Promise<Level | undefined> {
  const { releases } = await getReleasePlan(folder);
  const planned = releases.find(({ name }) => name === "@strait/ts")?.type;
  return LEVELS.find((level) => level === planned);
}

/** What is wrong with releasing the changes as the changesets plan it; empty when nothing is. */
export function releaseProblems(changes: readonly ApiChange[], planned: Level | undefined): string[] {
  const needed = LEVELS.findLast((level) => changes.some((change) => change.level === level));
  if (!needed || LEVELS.indexOf(needed) <= (planned ? LEVELS.indexOf(planned) : -1)) return [];
  const causes = changes.filter(({ level }) => level === needed).map(({ message }) => `  ${message}`);
  return [
    `The contract has changed since the last release in ways that need a changeset for "@strait/ts": ${needed}, and ${
      planned ? `the highest is ${planned}` : "there is none"
    }. See .changeset/README.md.`,
    ...causes.slice(0, 20),
  ];
}

/** The contract as it is, and as the last release had it; the second one is not there before the first release. */
function contractsOf(folder: string): { readonly current: string; readonly released: string } {
  const [current, released] = ["packages/contract/openapi.json", "openapi/released.json"];
  return { current: path.join(folder, current), released: path.join(folder, released) };
}

/**
 * What keeps a workspace from being released as its changesets announce; empty when nothing does.
 *
 * @throws {Error} As `plannedLevel` and `apiChanges` do.
 */
export async function findReleaseProblems(folder: string): Promise<string[]> {
  const { current, released } = contractsOf(folder);
  const planned = await plannedLevel(folder);
  return existsSync(released) ? releaseProblems(await apiChanges(released, current), planned) : [];
}

/** Keeps the contract as the released one, with which the next ones are compared. */
export function recordContract(folder: string): void {
  const { current, released } = contractsOf(folder);
  copyFileSync(current, released);
}

/** Whether the contract is, byte for byte, the one that was recorded. */
export function isContractRecorded(folder: string): boolean {
  const { current, released } = contractsOf(folder);
  return existsSync(released) && readFileSync(released).equals(readFileSync(current));
}
