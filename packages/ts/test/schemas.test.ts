import { examples, schemas as jsonSchemas, operations, requestSchemas, responseSchemas } from "@strait/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, expectTypeOf, test } from "vitest";
import type * as z from "zod/mini";
import type {
  BearerOperationsPromise,
  BearerStreams,
  EventTrigger,
  InternalSecretOperationsPromise,
  RunTokenOperationsPromise,
  SendEvent,
} from "../src/index.ts";
import * as entry from "../src/schemas.ts";
import { answerSchemas, eventTriggerSchema, type LazySchema, type Schema, sendEventSchema } from "../src/schemas.ts";

type OperationId = keyof typeof operations;
type Json = Readonly<Record<string, unknown>>;

const ajv = new Ajv2020({ strict: false, validateFormats: false });
ajv.addSchema(jsonSchemas);
const operationIds = Object.keys(operations) as OperationId[];

/** The success answers of the contract's examples. */
const answers = operationIds.flatMap((id) =>
  operations[id].success.flatMap((status): [string, OperationId, unknown, number][] => {
    const body = examples[id].responses[status];
    return body === undefined ? [] : [[`${id} ${status}`, id, body, status]];
  }),
);

/** Their requests with a body, and the schema of that body. */
const requests = operationIds.flatMap((id): [OperationId, Json, Schema<unknown>][] => {
  const body = examples[id].request.body as Json | undefined;
  const name = String(requestSchemas[id].body?.$ref).split("/").at(-1) ?? "";
  const named = (entry as unknown as Readonly<Record<string, LazySchema<unknown>>>)[
    `${name.charAt(0).toLowerCase()}${name.slice(1)}Schema`
  ];
  return body && named ? [[id, body, named()]] : [];
});

function answerSchema(id: OperationId): Schema<unknown> | undefined {
  return (answerSchemas as Readonly<Partial<Record<OperationId, LazySchema<unknown>>>>)[id]?.();
}

/** The object again and again, each time with another of its fields replaced, or taken away where the value is undefined. */
function* variants(body: Json, values: readonly unknown[]): Generator<Json> {
  for (const key of Object.keys(body)) {
    for (const value of values) {
      const { [key]: _, ...others } = body;
      yield value === undefined ? others : { ...others, [key]: value };
    }
  }
}

describe("the schemas", () => {
  test.each(answers)("take the contract's example of %s", (_, id, body) => {
    expect(answerSchema(id)?.safeParse(body)).toEqual({ success: true, data: body });
  });

  test.each(requests)("take the contract's example of what %s is sent", (_, body, schema) => {
    expect(schema.safeParse(body)).toEqual({ success: true, data: body });
  });

  test("know every operation that answers something", () => {
    const silent = operationIds.filter((id) => !answerSchema(id));

    expect(silent.filter((id) => operations[id].success.some((status) => status !== 204))).toEqual([]);
    expect(requests.length).toBe(operationIds.filter((id) => requestSchemas[id].body).length);
  });

  test("are made when they are first asked for, and once", () => {
    expect(eventTriggerSchema()).toBe(eventTriggerSchema());
  });
});

describe("the schema of an answer", () => {
  const trigger = examples.getV1EventsByEventKey.responses[200] as Json;

  test("takes fields and values that a later server adds", () => {
    const later = { ...trigger, status: "delegated", new_field: { of: "any kind" } };

    expect(eventTriggerSchema().safeParse(later)).toEqual({ success: true, data: later });
  });

  test("refuses what breaks its shape, as the JSON Schema does", () => {
    for (const [name, id, body, status] of answers) {
      const valid = ajv.compile(responseSchemas[id][status] ?? false);
      for (const variant of variants(body as Json, [undefined, null])) {
        expect([name, variant, answerSchema(id)?.safeParse(variant).success]).toEqual([name, variant, valid(variant)]);
      }
    }
  });
});

describe("the schema of a request", () => {
  test("judges as the JSON Schema of the contract does", () => {
    for (const [id, body, schema] of requests) {
      const valid = ajv.compile(requestSchemas[id].body ?? false);
      const values = [
        undefined,
        null,
        "",
        "x",
        " \n",
        ".",
        "😀".repeat(500),
        "a".repeat(5_000),
        0,
        -1,
        1.5,
        2 ** 40,
        true,
        [],
        ["a", "a"],
        {},
        { "": "" },
      ];
      for (const variant of [...variants(body, values), { ...body, unknown_field: 1 }, [], null, "text"]) {
        expect([id, variant, schema.safeParse(variant).success]).toEqual([id, variant, valid(variant)]);
      }
    }
  });

  test("takes a field that is undefined for one that is absent, as JSON does", () => {
    expect(sendEventSchema().safeParse({ payload: 1, ttl_secs: undefined }).success).toBe(true);
  });
});

describe("the types of the schemas", () => {
  test("are those of the client", () => {
    expectTypeOf<z.output<ReturnType<typeof eventTriggerSchema>>>().toEqualTypeOf<EventTrigger>();
    expectTypeOf<z.input<ReturnType<typeof sendEventSchema>>>().toEqualTypeOf<SendEvent>();
  });

  test("are, operation by operation, those of what its method resolves with", () => {
    type Methods = BearerOperationsPromise & InternalSecretOperationsPromise & RunTokenOperationsPromise;
    type Answered = { [Id in keyof typeof answerSchemas]: z.output<ReturnType<(typeof answerSchemas)[Id]>> };
    type Resolved = {
      [Id in keyof Methods as undefined extends Awaited<ReturnType<Methods[Id]>> ? never : Id]: Awaited<
        ReturnType<Methods[Id]>
      >;
    };

    expectTypeOf<Omit<Answered, keyof BearerStreams>>().toEqualTypeOf<Resolved>();
  });
});
