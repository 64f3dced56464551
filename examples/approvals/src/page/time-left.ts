const UNITS = [
  ["d", 86_400],
  ["h", 3_600],
  ["min", 60],
  ["s", 1],
] as const;

/** A time span in its two largest units, such as `2 h 5 min`. */
export function describeSpan(ms: number): string {
  let secs = Math.max(0, Math.ceil(ms / 1_000));
  const parts: string[] = [];
  for (const [unit, size] of UNITS) {
    const count = Math.floor(secs / size);
    secs -= count * size;
    if (count > 0 || (unit === "s" && parts.length === 0)) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(" ");
}

/** What a deadline means now, for a person. */
export function describeDeadline(expiresAt: string | null, now: number): { text: string; isSoon: boolean } {
  if (expiresAt === null) return { text: "no deadline", isSoon: false };
  const leftMs = Date.parse(expiresAt) - now;
  if (leftMs <= 0) return { text: "time is up", isSoon: true };
  return { text: `${describeSpan(leftMs)} left`, isSoon: leftMs < 10 * 60_000 };
}
