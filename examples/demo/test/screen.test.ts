import { describe, expect, test } from "vitest";
import { type Output, openScreen } from "../src/screen.ts";

/** An output that remembers what was written. */
function givenOutput(options: Omit<Output, "write"> = {}): Output & { text: string } {
  return {
    ...options,
    text: "",
    write(text) {
      this.text += text;
    },
  };
}

const terminal = { isTTY: true, columns: 30, rows: 40 };

describe("a panel", () => {
  test("repaints its lines in place on a terminal", () => {
    const output = givenOutput(terminal);
    const panel = openScreen(output, { NO_COLOR: "1" }).panel("Steps");
    panel.set("one", "active", "one runs");
    panel.set("two", "idle", "two");
    output.text = "";

    panel.set("one", "done", "one is done");

    expect(output.text).toBe("\r\u001b[2A\u001b[J  ✓ one is done\n  · two\n");
  });

  test("cuts a line that would wrap on a terminal", () => {
    const output = givenOutput(terminal);
    const panel = openScreen(output, { NO_COLOR: "1" }).panel("Steps");

    panel.set("one", "done", "a line with more than thirty characters");

    expect(output.text).toContain("  ✓ a line with more than t…\n");
  });

  test.each([
    ["a pipe", {}, {}],
    ["a terminal that cannot move its cursor", terminal, { TERM: "dumb" }],
    ["continuous integration", terminal, { CI: "true" }],
  ])("writes each change once to %s", (_, options, env) => {
    const output = givenOutput(options);
    const panel = openScreen(output, env).panel("Steps");

    panel.set("one", "active", "one runs");
    panel.set("one", "active", "one runs");
    panel.set("one", "done", "one is done");

    expect(output.text).toBe("\nSteps\n\n  ● one runs\n  ✓ one is done\n");
  });
});
