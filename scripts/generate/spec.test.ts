import { describe, expect, test } from "vitest";
import { type OpenApiDocument, readSpec, SpecError } from "./spec.ts";
import { testDocument } from "./test-document.ts";

/** The test document, or a part of it, as something to bend. */
interface Bent {
  [key: string]: Bent;
}

function problemsAfter(bend: (document: Bent) => void): readonly string[] {
  const document = testDocument();
  bend(document as unknown as Bent);
  try {
    readSpec(document);
  } catch (error) {
    if (error instanceof SpecError) return error.problems;
    throw error;
  }
  return [];
}

describe("reading a document", () => {
  test("follows references and sorts by id", () => {
    const { operations } = readSpec(testDocument());

    expect(operations.map(({ id }) => id)).toEqual(["getTriggers", "getTriggersByKeyStream", "postTriggersByKeySend"]);
    expect(operations[0]).toMatchObject({
      auth: ["bearer"],
      media: "json",
      paginated: true,
      idempotent: false,
      queryParameters: [{ name: "status" }, { name: "cursor" }],
      errors: [{ status: 404, shared: "NotFound", example: { error: { code: "not_found" } } }],
    });
    expect(operations[1]).toMatchObject({ auth: [], media: "sse", paginated: false });
    expect(operations[2]).toMatchObject({ auth: ["bearer", "internalSecret"], idempotent: true });
    expect(operations[2]?.successes.map(({ status }) => status)).toEqual([200, 202]);
  });

  test("takes the first of several examples, also by reference", () => {
    const document = testDocument() as unknown as Bent;
    const media = at(document, "paths", "/triggers", "get", "responses", "200", "content", "application/json");
    set(media, { schema: media.schema, examples: { first: { $ref: "#/components/examples/First" } } });
    set(at(document, "components"), { ...document.components, examples: { First: { value: { data: [] } } } });

    const { operations } = readSpec(document as unknown as OpenApiDocument);

    expect(operations[0]?.successes[0]?.example).toEqual({ data: [] });
  });
});

describe("a document is refused", () => {
  test("with all its problems at once", () => {
    const problems = problemsAfter((document) => {
      const list = at(document, "paths", "/triggers", "get");
      set(list, { ...list, operationId: "list", tags: [], security: [{ cookie: [] }] });
    });

    expect(problems).toEqual([
      "GET /triggers: operationId has to be getTriggers, not list",
      "GET /triggers: has to have exactly one tag",
      "GET /triggers: unknown security scheme cookie",
    ]);
  });

  test("when a request object takes fields that it does not name", () => {
    const problems = problemsAfter((document) => {
      set(at(document, "components", "schemas", "Send"), { type: "object", properties: { payload: {} } });
    });

    expect(problems).toEqual(["components/schemas/Send: a request object needs additionalProperties: false"]);
  });

  test("when an answer has no example", () => {
    const problems = problemsAfter((document) => {
      const media = at(document, "paths", "/triggers", "get", "responses", "200", "content", "application/json");
      set(media, { schema: media.schema });
    });

    expect(problems).toEqual(["GET /triggers 200: needs an example"]);
  });

  test("when an operation cannot succeed", () => {
    const problems = problemsAfter((document) =>
      set(at(document, "paths", "/triggers/{key}/stream", "get", "responses"), {}),
    );

    expect(problems).toEqual(["GET /triggers/{key}/stream: needs a success answer"]);
  });

  test("when the path and its parameters disagree", () => {
    const problems = problemsAfter((document) => {
      const stream = at(document, "paths", "/triggers/{key}/stream", "get");
      set(stream, { ...stream, parameters: [] });
    });

    expect(problems).toEqual(["GET /triggers/{key}/stream: declares the path parameters [], but the path has [key]"]);
  });

  test("when the bundler had to rename a schema because two have its name", () => {
    const problems = problemsAfter((document) => {
      const schemas = at(document, "components", "schemas");
      set(schemas, { ...schemas, "Trigger-2": { type: "object" } });
    });

    expect(problems).toEqual([
      "components.schemas.Trigger-2: not a name in PascalCase; two schemas in different files may share their name",
    ]);
  });
});

function at(document: Bent, ...path: readonly string[]): Bent {
  return path.reduce((value, key) => value[key] ?? {}, document);
}

function set(target: object, value: object): void {
  for (const key of Object.keys(target)) delete (target as Record<string, unknown>)[key];
  Object.assign(target, value);
}
