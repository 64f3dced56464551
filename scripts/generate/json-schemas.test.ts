import { describe, expect, test } from "vitest";
import { schemasFile } from "./json-schemas.ts";
import { readSpec } from "./spec.ts";
import { testDocument } from "./test-document.ts";

const { content } = schemasFile(readSpec(testDocument()), "schemas.ts");

describe("the JSON Schemas", () => {
  test("keep what validates and drop what explains", () => {
    expect(content).toContain('if_no_waiter: { type: "string", enum: ["buffer", "fail"], default: "buffer" },');
    expect(content).not.toContain("What then?");
    expect(content).not.toContain("x-strait-status");
  });

  test("keep a property that is named like a keyword", () => {
    expect(content).toContain('description: { type: "string" },');
  });

  test("refer to the one document", () => {
    expect(content).toContain('items: { $ref: "#/$defs/Trigger" }');
    expect(content).toContain('body: { $ref: "strait#/$defs/Send" },');
    expect(content).toContain('status: { $ref: "strait#/$defs/Status" }');
  });
});
