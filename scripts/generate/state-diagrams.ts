import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { GeneratedFile } from "./emit.ts";
import { hasMarkers, markersOf, withPart } from "./marked-page.ts";

const PAGE = "ARCHITECTURE.md";
const markers = markersOf("states");

/** One row of a table of moves, as `packages/core` writes it. */
export interface MoveRow {
  readonly from: readonly string[];
  readonly to: string;
  /** The move takes up something that had ended. */
  readonly reopens?: true;
}

export type MoveTable = Readonly<Record<string, MoveRow>>;

/** One state machine of the page. */
export interface Machine {
  readonly title: string;
  readonly moves: MoveTable;
  /** The states in which it may begin. Absent: those that no move enters. */
  readonly born?: readonly string[];
}

/** The machines in the order of the page: a heading, the module of `packages/core` and its export. */
const TABLES = [
  { title: "Run", module: "run-status.ts", table: "runMoves", born: ["delayed", "queued", "waiting", "executing"] },
  { title: "Event trigger", module: "trigger-status.ts", table: "triggerMoves" },
  { title: "Step", module: "step-status.ts", table: "stepMoves" },
  { title: "Workflow run", module: "workflow-run-status.ts", table: "workflowRunMoves" },
  { title: "Webhook delivery", module: "delivery-status.ts", table: "deliveryMoves" },
] as const;

/**
 * ARCHITECTURE.md with the diagrams of the state machines, drawn from the tables that also guard the SQL. Nothing while
 * the page or its markers are not there.
 */
export async function stateDiagrams(root: string): Promise<GeneratedFile[]> {
  const file = path.join(root, PAGE);
  const page = existsSync(file) ? readFileSync(file, "utf8") : "";
  if (!hasMarkers(page, markers)) return [];
  return [{ path: PAGE, content: withDiagrams(page, await readMachines(root)) }];
}

/** The page with a diagram per machine between its markers, in place of what stood there. */
export function withDiagrams(page: string, machines: readonly Machine[]): string {
  const diagrams = machines.map((machine) => `### ${machine.title}\n\n${stateDiagram(machine)}`);
  return withPart(page, markers, diagrams.join("\n"));
}

/** Loads the tables of moves from `packages/core`. */
export async function readMachines(root: string): Promise<Machine[]> {
  const machines: Machine[] = [];
  for (const { module, table, ...machine } of TABLES) {
    const file = path.join(root, "packages", "core", "src", module);
    const exports = (await import(pathToFileURL(file).href)) as Readonly<Record<string, MoveTable>>;
    const moves = exports[table];
    if (!moves) throw new Error(`${file} has to export ${table}`);
    machines.push({ ...machine, moves });
  }
  return machines;
}

/**
 * A Mermaid state diagram, fenced. Moves between the same two states share an arrow; a state that only a move that
 * reopens can leave is final.
 */
export function stateDiagram({ moves, born }: Omit<Machine, "title">): string {
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
    ...(born ?? [...left].filter((state) => !entered.has(state))).map((state) => `[*] --> ${state}`),
    ...[...arrows].map(([arrow, names]) => `${arrow}: ${names.join(", ")}`),
    ...[...entered].filter((state) => !left.has(state)).map((state) => `${state} --> [*]`),
  ];
  return `\`\`\`mermaid\nstateDiagram-v2\n${lines.map((line) => `  ${line}\n`).join("")}\`\`\`\n`;
}
