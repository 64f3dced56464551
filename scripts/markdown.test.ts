import { describe, expect, test } from "vitest";
import { anchorsOf, linksOf, programsOf } from "./markdown.ts";

describe("the links of a page", () => {
  test("are found with their line, in prose only", () => {
    const page = [
      "See [one](a.md#x) and ![two](b.png).",
      "`[code](no.md)`",
      "```",
      "[no](no.md)",
      "```",
      "[ref]: c.md",
    ].join("\n");

    expect(linksOf(page)).toEqual([
      { line: 1, target: "a.md#x" },
      { line: 1, target: "b.png" },
      { line: 6, target: "c.md" },
    ]);
  });
});

describe("the anchors of a page", () => {
  test("are spelled as GitHub spells them", () => {
    const page = ["# What it is", "## `npm test`, and more", "## What it is", "```", "# a comment", "```"].join("\n");

    expect([...anchorsOf(page)]).toEqual(["what-it-is", "npm-test-and-more", "what-it-is-1"]);
  });
});

describe("the programs of a page", () => {
  test("keep the line numbers of the page, and continue where they say so", () => {
    const page = [
      "text",
      "```ts",
      "const a = 1;",
      "```",
      "text",
      "```ts continued",
      "a + 1;",
      "```",
      "```sh",
      "ls",
      "```",
    ].join("\n");

    expect(programsOf(page)).toEqual([{ line: 2, source: "\n\nconst a = 1;\n\n\n\na + 1;" }]);
  });

  test("are apart when the second does not continue the first", () => {
    const page = ["```ts", "const a = 1;", "```", "```ts", "const a = 2;", "```"].join("\n");

    expect(programsOf(page).map(({ line }) => line)).toEqual([1, 4]);
  });
});
