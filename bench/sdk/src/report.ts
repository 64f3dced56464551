/** A figure per column; undefined where there is none. */
export type Row = { readonly name: string } & Readonly<Record<string, string | number | undefined>>;

/** Where a figure has to stay. */
export interface Bar {
  readonly most?: number;
  readonly least?: number;
  /** It depends on the machine and on what else it does, so that 15 % are tolerated. */
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
      if (typeof value !== "number" || bar === undefined) return format(value);
      const holds = meets(value, bar);
      isMet &&= holds;
      return `${format(value)} ${holds ? "✓" : "✗"} ${bar.most === undefined ? "≥" : "≤"} ${bar.most ?? bar.least}`;
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

function meets(value: number, { most = Number.POSITIVE_INFINITY, least = 0, isTime = false }: Bar): boolean {
  const tolerance = isTime ? TOLERANCE : 0;
  return value <= most * (1 + tolerance) && value >= least * (1 - tolerance);
}

function format(value: string | number | undefined): string {
  if (typeof value !== "number") return value ?? "";
  if (Number.isNaN(value)) return "fails";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Number(value.toPrecision(3)).toString();
}
