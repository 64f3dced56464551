import { type Checked, invalid, valid } from "./checked.ts";

/** Nanoseconds of each unit. `d` and `w` are ours, the others are Go's. */
// biome-ignore format: a table reads by column
const units = [
  ["w",  604_800_000_000_000n],
  ["d",   86_400_000_000_000n],
  ["h",    3_600_000_000_000n],
  ["m",       60_000_000_000n],
  ["s",        1_000_000_000n],
  ["ms",           1_000_000n],
  ["us",               1_000n],
  ["ns",                   1n],
] as const;

const MICRO_SIGN = "\u00b5";
const GREEK_MU = "\u03bc";
const unitNs: ReadonlyMap<string, bigint> = new Map([...units, [`${MICRO_SIGN}s`, 1_000n], [`${GREEK_MU}s`, 1_000n]]);
const unitsOfGo = units.filter(([unit]) => unit !== "w" && unit !== "d");

/** What Go's int64 of nanoseconds holds: about 292 years. */
const MAX_NS = 2n ** 63n - 1n;

/** No sensible duration is longer, and the sum of a megabyte of digits is not worth computing. */
const MAX_LENGTH = 64;

const TERM = /(?<amount>\d+\.?\d*|\.\d+)(?<unit>[^\d.]*)/gy;
const EXAMPLE = 'such as "24h", "1h30m" or "90s"';

/**
 * Reads a duration in Go's grammar: decimal numbers, each with a unit, one after the other, with an optional sign.
 * Units are `ns`, `us` or `µs`, `ms`, `s`, `m`, `h` and, beyond Go, `d` (24 hours) and `w` (7 days). `0` needs no unit.
 *
 * @returns Milliseconds, exact to the nanosecond (anything finer is cut off, as in Go); or the problem.
 */
export function parseDuration(text: string): Checked<number> {
  if (text.length > MAX_LENGTH) {
    return invalid("maxLength", `write a duration of at most ${MAX_LENGTH} characters, ${EXAMPLE}`);
  }
  const negative = text.startsWith("-");
  const unsigned = negative || text.startsWith("+") ? text.slice(1) : text;
  if (unsigned === "0") return valid(0);

  let totalNs = 0n;
  let end = 0;
  for (const match of unsigned.matchAll(TERM)) {
    const { amount, unit } = match.groups as { amount: string; unit: string };
    const ns = unitNs.get(unit);
    if (ns === undefined) return badUnit(text, amount, unit);
    totalNs += times(amount, ns);
    end += match[0].length;
  }
  if (end === 0 || end < unsigned.length) {
    return invalid("duration", `write numbers with units and no spaces, ${EXAMPLE}, instead of ${quote(text)}`);
  }
  if (totalNs > MAX_NS) return invalid("maximum", `write a duration of at most 292 years instead of ${quote(text)}`);
  const ms = toMs(totalNs);
  return valid(negative && ms !== 0 ? -ms : ms);
}

/** Like {@link parseDuration}, but zero and negative durations are problems. */
export function parsePositiveDuration(text: string): Checked<number> {
  const parsed = parseDuration(text);
  if (!parsed.ok || parsed.value > 0) return parsed;
  return invalid("exclusiveMinimum", `write a duration longer than 0, ${EXAMPLE}, instead of ${quote(text)}`);
}

/**
 * Writes a duration in units that Go reads too, leaving out those that are zero: `24h`, `1h30m`, `1s500ms`, `0s`.
 * {@link parseDuration} reads it back to the same number.
 *
 * @param ms - Milliseconds; anything finer than a nanosecond is rounded.
 * @throws {RangeError} When `ms` is not finite.
 */
export function formatDuration(ms: number): string {
  if (!Number.isFinite(ms)) throw new RangeError(`a duration must be finite, got ${ms}`);
  const whole = Math.trunc(Math.abs(ms));
  let rest = BigInt(whole) * 1_000_000n + BigInt(Math.round((Math.abs(ms) - whole) * 1_000_000));
  let text = "";
  for (const [unit, ns] of unitsOfGo) {
    if (rest >= ns) text += `${rest / ns}${unit}`;
    rest %= ns;
  }
  if (text === "") return "0s";
  return ms < 0 ? `-${text}` : text;
}

/** `amount` times `unit` without a float in between, so that "1.001s" is 1001 ms and not something beside it. */
function times(amount: string, unit: bigint): bigint {
  const point = amount.indexOf(".");
  const decimals = point === -1 ? 0 : amount.length - point - 1;
  return (BigInt(amount.replace(".", "")) * unit) / 10n ** BigInt(decimals);
}

/** Keeps whole milliseconds exact far beyond 2^53 ns, which is only 104 days. */
function toMs(ns: bigint): number {
  return Number(ns / 1_000_000n) + Number(ns % 1_000_000n) / 1_000_000;
}

function badUnit(text: string, amount: string, unit: string): Checked<never> {
  const known = units.map(([name]) => name).join(", ");
  if (unit === "") {
    return invalid("durationUnit", `write "${amount}s" for seconds, or another unit of ${known}, in ${quote(text)}`);
  }
  return invalid("durationUnit", `replace ${quote(unit)} in ${quote(text)} by one of ${known}`);
}

function quote(text: string): string {
  return JSON.stringify(text);
}
