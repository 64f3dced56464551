import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { type MoveTable, readMachines, stateDiagram, stateDiagrams, withDiagrams } from "./state-diagrams.ts";

const moves: MoveTable = {
  start: { from: ["queued"], to: "executing" },
  retry: { from: ["executing"], to: "queued" },
  putBack: { from: ["executing"], to: "queued" },
  bury: { from: ["executing"], to: "dead_letter" },
  replay: { from: ["dead_letter"], to: "queued", reopens: true },
};

describe("a state diagram", () => {
  test("has an arrow per pair of states, and ends where only a reopening leads on", () => {
    expect(stateDiagram({ moves: { admit: { from: ["delayed"], to: "queued" }, ...moves } })).toBe(`\`\`\`mermaid
stateDiagram-v2
  [*] --> delayed
  delayed --> queued: admit
  queued --> executing: start
  executing --> queued: retry, putBack
  executing --> dead_letter: bury
  dead_letter --> queued: replay
  dead_letter --> [*]
\`\`\`
`);
  });

  test("begins where it is told to", () => {
    const diagram = stateDiagram({ moves, born: ["queued", "executing"] });

    expect(diagram.match(/\[\*\] --> .*/g)).toEqual(["[*] --> queued", "[*] --> executing"]);
  });
});

describe("ARCHITECTURE.md", () => {
  const page = "before\n<!-- generated:states:begin -->\nold\n<!-- generated:states:end -->\nafter\n";

  test("is left alone while it is not there or has no markers", async () => {
    const root = mkdtempSync(path.join(tmpdir(), "strait-generate-"));
    onTestFinished(() => rmSync(root, { recursive: true }));
    expect(await stateDiagrams(root)).toEqual([]);

    writeFileSync(path.join(root, "ARCHITECTURE.md"), "# Architecture\n");
    expect(await stateDiagrams(root)).toEqual([]);
  });

  test("changes between its markers and nowhere else, and not again the second time", () => {
    const once = withDiagrams(page, [{ title: "Run", moves }]);

    expect(once).toMatch(/^before\n<!-- generated:states:begin -->\n\n### Run\n\n```mermaid\n/);
    expect(once).toMatch(/```\n\n<!-- generated:states:end -->\nafter\n$/);
    expect(withDiagrams(once, [{ title: "Run", moves }])).toBe(once);
  });

  test("shows every machine of packages/core", async () => {
    const machines = await readMachines(path.resolve(import.meta.dirname, "../.."));

    expect(machines.map(({ title }) => title)).toEqual([
      "Run",
      "Event trigger",
      "Step",
      "Workflow run",
      "Webhook delivery",
    ]);
    expect(withDiagrams(page, machines)).toContain("waiting --> received: receive");
  });
});
