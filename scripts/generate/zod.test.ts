import { expect, test } from "vitest";
import { readSpec, type Schema } from "./spec.ts";
import { testDocument } from "./test-document.ts";
import { typeSource, withOpenAnswers } from "./type-source.ts";
import { renderTypes } from "./types.ts";
import { zodFile } from "./zod.ts";

/** The file for the test document with some schemas added or replaced. */
async function generated(schemas: Readonly<Record<string, Schema>> = {}): Promise<string> {
  const document = testDocument();
  const components = { ...document.components, schemas: { ...document.components.schemas, ...schemas } };
  const open = withOpenAnswers(typeSource({ ...document, components }));
  return zodFile(readSpec({ ...document, components }), open, await renderTypes(open), "schemas.ts").content;
}

const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

test("what answers hold is open, what requests take is closed", async () => {
  const file = await generated();

  expect(file).toContain("statusSchema: LazySchema<Status> = /* @__PURE__ */ lazy(() => z.string());");
  expect(file).toContain('lazy(() => z.enum(["waiting","received"]));');
  expect(file).toContain("lazy(() => z.looseObject({\n  id: z.string(),\n  status: statusSchema(),\n}));");
  expect(file).toContain('lazy(() => z.strictObject({\n  if_no_waiter: optional(z.enum(["buffer","fail"])),');
});

test("the answers of an operation stand under its id, together where there are several", async () => {
  const file = await generated();

  expect(file).toContain("  getTriggers: pageSchema,\n");
  expect(file).toContain(
    "  postTriggersByKeySend: /* @__PURE__ */ lazy<PostTriggersByKeySendResult>(() => z.union([triggerSchema(), z.looseObject({\n  id: z.string(),\n})])),\n",
  );
});

test("limits count in requests alone, also those of a schema that answers hold too", async () => {
  const Name = { type: "string", maxLength: 8 };
  const file = await generated({
    Name,
    Send: { type: "object", additionalProperties: false, properties: { name: ref("Name") } },
    Trigger: { type: "object", required: ["name"], properties: { name: ref("Name") } },
  });

  expect(file).toContain("nameSchema: LazySchema<Name> = /* @__PURE__ */ lazy(() => z.string());");
  expect(file).toContain("  name: optional(z.string().check(maxCharacters(8))),");
  expect(file).toContain("  name: nameSchema(),");
});

test("a schema that nests is made by getters, so that making it ends", async () => {
  const file = await generated({
    Trigger: { type: "object", required: ["next", "id"], properties: { next: ref("Links"), id: { type: "string" } } },
    Links: { type: "array", items: ref("Trigger") },
  });

  expect(file).toContain("get next() {\n  return linksSchema();\n  },\n  id: z.string(),");
  expect(file).toContain("lazy(() => z.array(z.lazy(() => triggerSchema())));");
});
