import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { GeneratedFile } from "./emit.ts";

const FILE = "ARCHITECTURE.md";
const BEGIN = "<!-- generated:states:begin -->";
const END = "<!-- generated:states:end -->";

/** One row of a table of moves, as `packages/core` writes it. */
export interface MoveRow {
  readonly from: readonly string[];
  readonly to: string;
  /** The move takes up something that had ended. */
  readonly reopens?: true;
}

export type MoveTable = Readonly<Record<string, MoveRow>>;

/** The machines in the order of the page: a heading, the module of `packages/core` and its exports. */
const MACHINES = [
  { title: "Run", module: "run-status.ts", moves: "runMoves" },
  { title: "Event trigger", module: "trigger-status.ts", moves: "triggerMoves" },
  { title: "Step", module: "step-status.ts", moves: "stepMoves" },
  { title: "Workflow run", module: "workflow-run-status.ts", moves: "workflowRunMoves" },
  { title: "Webhook delivery", module: "delivery-status.ts", moves: "deliveryMoves" },
] as const;

/**
 * ARCHITECTURE.md with the diagrams of the state machines between its markers, drawn from the tables that also guard
 * the SQL. Nothing while the page or its markers are not there.
 */
export async function stateDiagrams(root: string): Promise<GeneratedFile[]> {
  const page = path.join(root, FILE);
  if (!existsSync(page)) return [];
  const text = readFileSync(page, "utf8");
  const begin = text.indexOf(BEGIN);
  const end = text.indexOf(END);
  if (begin < 0 || end < begin) return [];

  const diagrams: string[] = [];
  for (const machine of MACHINES) {
    diagrams.push(`### ${machine.title}\n\n${stateDiagram(await readMoves(root, machine))}`);
  }
  const content = `${text.slice(0, begin + BEGIN.length)}\n\n${diagrams.join("\n")}\n${text.slice(end)}`;
  return [{ path: FILE, content }];
}

async function readMoves(root: string, { module, moves }: (typeof MACHINES)[number]): Promise<MoveTable> {
  const file = path.join(root, "packages", "core", "src", module);
  const exports = (await import(pathToFileURL(file).href)) as Readonly<Record<string, MoveTable>>;
  const table = exports[moves];
  if (!table) throw new Error(`${file} has to export ${moves}`);
  return table;
}

/**
 * A Mermaid state diagram, fenced. Moves between the same two states share an arrow; a state that only a move that
 * reopens can leave is final.
 */
export function stateDiagram(moves: MoveTable): string {
  const arrows = new Map<string, string[]>();
  for (const [name, { from, to }] of Object.entries(moves)) {
    for (const state of from) {
      const arrow = `${state} --> ${to}`;
      arrows.set(arrow, [...(arrows.get(arrow) ?? []), name]);
    }
  }
  const rows = Object.values(moves);
  const left = new Set(rows.flatMap(({ from, reopens }) => (reopens ? [] : from)));
  const entered = new Set(rows.filter(({ reopens }) => !reopens).map(({ to }) => to));
  const lines = [
    ...[...left].filter((state) => !entered.has(state)).map((state) => `[*] --> ${state}`),
    ...[...arrows].map(([arrow, names]) => `${arrow}: ${names.join(", ")}`),
    ...[...entered].filter((state) => !left.has(state)).map((state) => `${state} --> [*]`),
  ];
  return `\`\`\`mermaid\nstateDiagram-v2\n${lines.map((line) => `  ${line}\n`).join("")}\`\`\`\n`;
}
