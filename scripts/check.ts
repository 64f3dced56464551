// Runs the gates, two at a time, and says how each went.
//
//   npm run check                       all of them
//   npm run check -- types imports      only these
//   npm run check -- --report FILE      also writes { passed, failed } to FILE as JSON

import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { type Gate, gates } from "./gates.ts";
import { longestFiles } from "./longest-files.ts";

const AT_A_TIME = 2;

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { help: { type: "boolean", short: "h" }, report: { type: "string" } },
});

if (options.help) {
  console.log("Usage: npm run check [-- GATE…] [--report FILE]\n\nGates:");
  for (const gate of gates) console.log(`  ${gate.name.padEnd(12)} ${gate.promise}`);
} else {
  const unknown = wanted.filter((name) => !gates.some((gate) => gate.name === name));
  if (unknown.length > 0) {
    console.error(`No gate is called ${unknown.join(", ")}; see npm run check -- --help`);
    process.exitCode = 2;
  } else {
    await checkAll(wanted.length > 0 ? gates.filter((gate) => wanted.includes(gate.name)) : gates);
  }
}

async function checkAll(selected: readonly Gate[]): Promise<void> {
  const failed: string[] = [];
  const waiting = [...selected];

  async function work(): Promise<void> {
    for (let gate = waiting.shift(); gate; gate = waiting.shift()) {
      const started = performance.now();
      const { ok, output } = await gate.check();
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${ok ? "✓" : "✗"} ${gate.name.padEnd(12)} ${seconds.padStart(6)} s`);
      // What was left out is not a failure, and should not go unseen either.
      if (ok) for (const line of output.match(/^skipped: .*/gm) ?? []) console.log(`    ${line}`);
      if (ok) continue;
      failed.push(gate.name);
      console.log(output.replace(/^/gm, "    "));
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, work));

  if (selected.length === gates.length) {
    console.log("\nThe longest files (a measure of when to look again, not a limit):");
    for (const { lines, file } of longestFiles(10)) console.log(`${String(lines).padStart(6)}  ${file}`);
  }
  const passed = selected.length - failed.length;
  console.log(
    `\nGates: ${passed} passed, ${failed.length} failed${failed.length > 0 ? ` (${failed.join(", ")})` : ""}`,
  );
  if (options.report) writeFileSync(options.report, JSON.stringify({ passed, failed: failed.length }));
  if (failed.length > 0) process.exitCode = 1;
}
