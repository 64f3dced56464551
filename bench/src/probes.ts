import type { Finding, Probe } from "./probe.ts";
import { streams } from "./probe-streams.ts";
import { waiting } from "./probe-waiting.ts";

export const probes = { streams, waiting } as const satisfies Record<string, Probe>;
export type ProbeName = keyof typeof probes;
export const probeNames = Object.keys(probes) as ProbeName[];

/** The table of a probe, and whether its bars are kept. */
export function probeReport(name: ProbeName, findings: readonly Finding[]): { text: string; isMet: boolean } {
  const widths = [
    Math.max(...findings.map(({ label }) => label.length)),
    Math.max(...findings.map(({ value }) => value.length)),
  ] as const;
  const lines = findings.map(({ label, value, bar }) => {
    const said = bar === undefined ? "" : `${bar.text} ${bar.isMet ? "✓" : "✗ missed"}`;
    return `${label.padEnd(widths[0])}  ${value.padStart(widths[1])}  ${said}`.trimEnd();
  });
  return {
    text: [probes[name].title, ...lines].join("\n"),
    isMet: findings.every(({ bar }) => bar === undefined || bar.isMet),
  };
}
