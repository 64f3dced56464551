import { styleText } from "node:util";

/** How a line begins, and what that says. */
const marks = {
  done: { symbol: "✓", style: "green" },
  failed: { symbol: "✗", style: "red" },
  active: { symbol: "●", style: "yellow" },
  idle: { symbol: "·", style: "dim" },
  sent: { symbol: "→", style: "cyan" },
  got: { symbol: "←", style: "cyan" },
} as const;

export type Mark = keyof typeof marks;

/** Where the demo writes: a terminal, a pipe, or a test. */
export interface Output {
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  write(text: string): unknown;
}

/** Lines that can still change. On a terminal they do so in place; elsewhere a line is written again when it changes. */
export interface Panel {
  /** Adds the line `key`, or replaces it. */
  set(key: string, mark: Mark, text: string): void;
}

export interface Screen {
  title(text: string): void;
  text(text: string): void;
  /** Ends the panel before it, whose lines stay as they are. */
  panel(heading: string): Panel;
}

/** Panels have fewer lines than this, so that none of them scrolls away while it still changes. */
const ROOM_FOR_A_PANEL = 16;

/** A screen on a terminal that can move its cursor, or a plain one where `output` is anything else. */
export function openScreen(output: Output, env: Readonly<Record<string, string | undefined>>): Screen {
  const isTerminal = output.isTTY === true && env.TERM !== "dumb" && !env.CI;
  const isLive = isTerminal && (output.rows ?? 0) > ROOM_FOR_A_PANEL;
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    isTerminal && !env.NO_COLOR ? styleText(style, text) : text;

  function line(mark: Mark, text: string): string {
    const { symbol, style } = marks[mark];
    // A line that wraps would be two for the cursor.
    const room = isLive ? (output.columns ?? 80) - 6 : text.length;
    const fitting = text.length > room ? `${text.slice(0, room - 1)}…` : text;
    return `  ${paint(style, symbol)} ${mark === "idle" ? paint("dim", fitting) : fitting}\n`;
  }

  return {
    title: (text) => void output.write(`\n${paint("bold", text)}\n`),
    text: (text) => void output.write(`\n${text}\n`),
    panel(heading) {
      output.write(`\n${paint("bold", heading)}\n\n`);
      const lines = new Map<string, string>();
      return {
        set(key, mark, text) {
          const next = line(mark, text);
          if (lines.get(key) === next) return;
          const height = lines.size;
          lines.set(key, next);
          if (!isLive) output.write(next);
          else output.write(`\r${height > 0 ? `\u001b[${height}A` : ""}\u001b[J${[...lines.values()].join("")}`);
        },
      };
    },
  };
}
