import type { ContenderName } from "./contenders.ts";
import { type Figures, type ScenarioName, scenarios } from "./scenarios.ts";
import { median } from "./statistics.ts";

/** What one contender did in a scenario, a set of figures for each round. */
export type Results = Partial<Record<ContenderName, readonly Figures[]>>;

interface Bar {
  readonly isMet: (ratio: number) => boolean;
  readonly text: string;
}

interface Row {
  readonly label: string;
  readonly of: (figures: Figures) => number | undefined;
  readonly show: (value: number) => string;
  readonly bar?: Bar;
  /** Of no use as a ratio. */
  readonly alone?: true;
}

const atLeast = (bar: number): Bar => ({ isMet: (ratio) => ratio >= bar, text: `at least ${bar.toFixed(2)}` });
const atMost = (bar: number): Bar => ({ isMet: (ratio) => ratio <= bar, text: `at most ${bar.toFixed(2)}` });

const perSecond = (value: number) => `${Math.round(value).toLocaleString("en-US")}/s`;
const ms = (value: number) => `${value.toPrecision(value < 10 ? 2 : 3)} ms`;
const cpuSeconds = (value: number) => `${value.toFixed(3)} s`;
const cores = (value: number) => value.toFixed(2);

function rate(bar: Bar): Row {
  return { label: "runs", of: (figures) => figures.rate, show: perSecond, bar };
}

function latency(share: "p50" | "p95" | "p99", bar?: Bar): Row {
  return { label: `latency ${share}`, of: ({ latencyMs }) => latencyMs[share], show: ms, ...(bar && { bar }) };
}

const perThousand: readonly Row[] = [
  {
    label: "CPU per 1,000",
    of: ({ cpu }) => cpu && cpu.driver + cpu.server + cpu.store,
    show: cpuSeconds,
  },
  { label: "  driver", of: ({ cpu }) => cpu?.driver, show: cpuSeconds },
  { label: "  server", of: ({ cpu }) => cpu?.server, show: cpuSeconds },
  { label: "  store", of: ({ cpu }) => cpu?.store, show: cpuSeconds },
  { label: "foreign", of: ({ foreign }) => foreign, show: cores, alone: true },
];

const rows: Readonly<Record<ScenarioName, readonly Row[]>> = {
  enqueue: [rate(atLeast(0.6)), ...perThousand],
  resolve: [rate(atLeast(0.7)), latency("p50"), latency("p99"), ...perThousand],
  resume: [latency("p50", atMost(1.25)), latency("p95"), latency("p99"), ...perThousand],
  start: [latency("p50", atMost(1.25)), latency("p95"), latency("p99"), ...perThousand],
};

/** Ours, and what it is held against: only these two make a ratio. */
const SUBJECT = "ours";
const YARDSTICK = "sketch";

/** The table of a scenario, and whether ours keeps its bars. */
export function scenarioReport(name: ScenarioName, runs: number, results: Results): { text: string; isMet: boolean } {
  const played = Object.keys(results) as ContenderName[];
  const lines = [[`${scenarios[name].title} (${runs} runs)`, ...played, `${SUBJECT}/${YARDSTICK}`, "bar"]];
  let isMet = true;
  for (const row of rows[name]) {
    const values = new Map(played.map((contender) => [contender, medianOf(row, results[contender] ?? [])]));
    const ratio = row.alone ? undefined : ratioOf(row, results);
    const isRowMet = row.bar === undefined || ratio === undefined || row.bar.isMet(ratio);
    isMet &&= isRowMet;
    lines.push([
      row.label,
      ...[...values.values()].map((value) => (value === undefined ? "–" : row.show(value))),
      ratio === undefined ? "" : ratio.toFixed(2),
      row.bar === undefined ? "" : `${row.bar.text}${ratio === undefined ? "" : isRowMet ? " ✓" : " ✗ missed"}`,
    ]);
  }
  return { text: aligned(lines), isMet };
}

/** One line about one round: the scenario's first figure for each contender. */
export function roundLine(name: ScenarioName, round: Partial<Record<ContenderName, Figures>>): string {
  const [row] = rows[name];
  const foreign = Math.max(...Object.values(round).map((figures) => figures.foreign ?? 0));
  const values = Object.entries(round).map(([contender, figures]) => {
    const value = row?.of(figures);
    return `${contender} ${row && value !== undefined ? row.show(value) : "–"}`;
  });
  return `${[`${row?.label}:`, ...values].join("  ")}  (foreign ${cores(foreign)})`;
}

/** The median of the rounds' ratios: within a round both had the same machine, whose speed drifts from one to the next. */
function ratioOf({ of }: Row, results: Results): number | undefined {
  const ratios = (results[SUBJECT] ?? []).flatMap((figures, round) => {
    const subject = of(figures);
    const other = results[YARDSTICK]?.[round];
    const yardstick = other && of(other);
    return subject !== undefined && yardstick ? subject / yardstick : [];
  });
  return ratios.length === 0 ? undefined : median(ratios);
}

function medianOf(row: Row, rounds: readonly Figures[]): number | undefined {
  const values = rounds.flatMap((figures) => row.of(figures) ?? []);
  return values.length === 0 ? undefined : median(values);
}

/** The first and the last column stand left, numbers right. */
function aligned(lines: readonly string[][]): string {
  const columns = lines[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((cells) => (cells[column] ?? "").length)),
  );
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => {
          const width = widths[column] ?? 0;
          return column === 0 || column === columns - 1 ? cell.padEnd(width) : cell.padStart(width);
        })
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
