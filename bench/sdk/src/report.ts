import { median } from "../../src/statistics.ts";

/** A figure, or that of each round, per column; undefined where there is none. */
export type Row = { readonly name: string } & Readonly<Record<string, string | number | readonly number[] | undefined>>;

/** Where a figure has to stay. */
export interface Bar {
  readonly most?: number;
  readonly least?: number;
  /** The row that it is a multiple of: seconds depend on the machine, and how many times as long others take hardly does. */
  readonly of?: string;
  /** It depends on what else the machine does, so that 15 % are tolerated. */
  readonly isTime?: boolean;
}

const TOLERANCE = 0.15;

/** A table of the rows, with a mark at each figure that has a bar. */
export function report(
  title: string,
  rows: readonly Row[],
  bars: Readonly<Record<string, Readonly<Record<string, Bar>>>>,
): { readonly text: string; readonly isMet: boolean } {
  let isMet = true;
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const cells = rows.map((row) =>
    columns.map((column) => {
      const value = row[column];
      const bar = bars[row.name]?.[column];
      if (value === undefined || typeof value === "string") return value ?? "";
      const figures = [value].flat();
      if (bar === undefined) return format(median(figures));
      const judged = bar.of === undefined ? median(figures) : ratio(figures, rows, bar.of, column);
      const holds = meets(judged, bar);
      isMet &&= holds;
      const multiple = bar.of === undefined ? "" : `, ${format(judged)} × ${bar.of}`;
      return `${format(median(figures))}${multiple} ${holds ? "✓" : "✗"} ${limit(bar)}`;
    }),
  );
  const table = [columns, ...cells];
  const widths = columns.map((_, index) => Math.max(...table.map((line) => line[index]?.length ?? 0)));
  const lines = table.map((line) =>
    line
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return { text: [title, "", ...lines].join("\n"), isMet };
}

/** The median of the rounds' own ratios, since a machine drifts from one round to the next. */
function ratio(figures: readonly number[], rows: readonly Row[], name: string, column: string): number {
  const others = [rows.find((row) => row.name === name)?.[column]].flat();
  return median(figures.map((figure, round) => figure / Number(others[round])));
}

function meets(value: number, { most = Number.POSITIVE_INFINITY, least = 0, isTime = false }: Bar): boolean {
  const tolerance = isTime ? TOLERANCE : 0;
  return value <= most * (1 + tolerance) && value >= least * (1 - tolerance);
}

function limit({ most, least }: Bar): string {
  return most === undefined ? `≥ ${format(least ?? 0)}` : `≤ ${format(most)}`;
}

function format(value: number): string {
  if (Number.isNaN(value)) return "fails";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}
