import { describe, expect, test } from "vitest";
import { testDocument } from "./test-document.ts";
import { typeSource, withOpenAnswers } from "./type-source.ts";
import { renderTypes } from "./types.ts";

describe("the types of the contract", () => {
  test("name each schema, explain it, and call others by their names", async () => {
    const { schemas } = await renderTypes(typeSource(testDocument()));

    expect(schemas.get("Status")).toBe('/** Where it stands. */\nexport type Status = "waiting" | "received";\n');
    expect(schemas.get("Trigger")).toBe(
      "/** A wait. */\nexport interface Trigger {\n  id: string;\n  status: Status;\n}\n",
    );
    expect(schemas.get("Page")).toContain("data: Trigger[];");
  });

  test("leave a field with a default optional in a request", async () => {
    const { schemas } = await renderTypes(typeSource(testDocument()));

    expect(schemas.get("Send")).toContain('if_no_waiter?: "buffer" | "fail";');
  });

  test("know what an operation takes and answers", async () => {
    const { operations } = await renderTypes(typeSource(testDocument()));

    expect(operations.get("postTriggersByKeySend")).toMatchObject({
      path: expect.stringContaining("key: string;"),
      query: undefined,
      body: "Send",
      answers: new Map([
        [200, "Trigger"],
        [202, "{\n  id: string;\n}"],
        [404, undefined],
      ]),
    });
    expect(operations.get("getTriggers")?.query).toContain("cursor?: string;");
    expect(operations.get("getTriggers")?.names).toEqual(new Set(["Status", "Page"]));
  });
});

describe("the types of the client", () => {
  test("are open where the server answers and closed where it is asked", async () => {
    const { schemas, operations } = await renderTypes(withOpenAnswers(typeSource(testDocument())));

    expect(schemas.get("Status")).toContain('export type Status = "waiting" | "received" | (string & {});');
    expect(schemas.get("StatusInput")).toContain('export type StatusInput = "waiting" | "received";');
    expect(schemas.get("Trigger")).toContain("status: Status;");
    expect(schemas.get("Send")).toContain('if_no_waiter?: "buffer" | "fail";');
    expect(operations.get("getTriggers")?.query).toContain("status?: StatusInput;");
  });

  test("split only what serves both directions", async () => {
    const { schemas } = await renderTypes(withOpenAnswers(typeSource(testDocument())));

    const split = [...schemas.keys()].filter((name) => name.endsWith("Input"));
    expect(split).toEqual(["StatusInput"]);
  });

  test("let a program look into any JSON value of an answer, and send whatever it likes", async () => {
    const document = testDocument();
    const { Trigger, Send, ...schemas } = document.components.schemas;
    const free = { $ref: "#/components/schemas/JsonValue" };
    const { schemas: types } = await renderTypes(
      withOpenAnswers(
        typeSource({
          ...document,
          components: {
            ...document.components,
            schemas: {
              ...schemas,
              JsonValue: { description: "Any JSON value." },
              Trigger: {
                ...Trigger,
                properties: { payload: free, details: { type: "object", additionalProperties: true } },
              },
              Send: { ...Send, properties: { payload: free } },
            },
          },
        }),
      ),
    );

    expect(types.get("JsonValue")).toContain("type JsonValue = string | number | boolean | null | JsonValue[] | {");
    expect(types.get("JsonValueInput")).toContain("type JsonValueInput = unknown;");
    expect(types.get("Trigger")).toMatch(/payload\?: JsonValue;\s+details\?: \{\s+\[key: string\]: JsonValue;/);
    expect(types.get("Send")).toContain("payload?: JsonValueInput;");
  });

  test("hold no any", async () => {
    const { schemas, openapi } = await renderTypes(withOpenAnswers(typeSource(testDocument())));

    expect([...schemas.values(), openapi].join("")).not.toMatch(/\bany\b/);
  });
});
