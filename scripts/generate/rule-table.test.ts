import { describe, expect, test } from "vitest";
import { hasMarkers, markersOf, withPart } from "./marked-page.ts";
import { renderRules } from "./rule-table.ts";

describe("the table of rules in the guide", () => {
  test("has a row for each rule, in the order of the list", () => {
    const table = renderRules([
      { id: "U1", says: "One waits." },
      { id: "B1", says: "Events are kept." },
    ]);

    expect(table.split("\n").slice(2, -1)).toEqual([
      "| U1 | One waits. | pass | pass |",
      "| B1 | Events are kept. | pass | pass |",
    ]);
  });

  test("replaces what stood between its markers, and nothing else", () => {
    const markers = markersOf("rules");
    const page = `# Events\n\n${markers.begin}\nold\n${markers.end}\n\nThe end.\n`;

    expect(withPart(page, markers, "new\n")).toBe(
      `# Events\n\n${markers.begin}\n\nnew\n\n${markers.end}\n\nThe end.\n`,
    );
    expect(hasMarkers("# Events", markers)).toBe(false);
  });
});
