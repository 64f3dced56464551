import { examples } from "@strait/contract";
import { describe, expect, test } from "vitest";
import type { ValidateMode } from "../src/runtime.ts";
import { answerSchemas, createValidator } from "../src/schemas.ts";
import type { StreamInput } from "../src/stream.ts";
import type { AnswerFault, AnswerValidator } from "../src/validation.ts";
import { givenClient, givenSurfaces } from "./fixture/client.ts";
import { givenServer } from "./fixture/server.ts";

const trigger = examples.getV1EventsByEventKey.responses[200] as Readonly<Record<string, unknown>>;
const page = examples.getV1Events.responses[200] as Readonly<Record<string, unknown>>;
const key = { pathParams: { eventKey: "k" } };

function givenValidator(validate: ValidateMode): { validator: AnswerValidator; warnings: AnswerFault[] } {
  const warnings: AnswerFault[] = [];
  const onWarning = (fault: AnswerFault): void => void warnings.push(fault);
  return { validator: createValidator(answerSchemas, { validate, onWarning }), warnings };
}

describe("a client that validates", () => {
  test("throws what is wrong with an answer, and where", async () => {
    const { baseUrl } = await givenServer({ body: { ...page, data: [trigger, { ...trigger, event_key: 7 }] } });
    const client = givenClient(baseUrl, givenValidator("error"));

    const error = await client.getV1Events().catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({
      _tag: "ValidationError",
      message: "getV1Events: answer.data[1].event_key should be string",
      operationId: "getV1Events",
      field: "answer.data[1].event_key",
      attempts: 1,
      cause: [{ path: ["data", 1, "event_key"] }],
    });
  });

  test("gives the answer as it came where nothing is wrong, with what a later server has added", async () => {
    const later = { ...trigger, status: "delegated", new_field: 1 };
    const { baseUrl } = await givenServer({ body: later }, { status: 204 });
    const client = givenClient(baseUrl, givenValidator("error"));

    expect(await client.getV1EventsByEventKey(key)).toEqual(later);
    expect(await client.getV1EventsByEventKey(key)).toBeUndefined();
  });

  test("tells and goes on where it is to warn", async () => {
    const { baseUrl } = await givenServer({ body: { id: "trg_1" } });
    const { validator, warnings } = givenValidator("warn");

    const answer = await givenClient(baseUrl, { validator }).getV1EventsByEventKey(key);

    expect(answer).toEqual({ id: "trg_1" });
    expect(warnings).toMatchObject([
      { operationId: "getV1EventsByEventKey", field: expect.stringMatching(/^answer\./) },
    ]);
  });

  test("does so for one call, or not for one call", async () => {
    const { baseUrl } = await givenServer({ body: { id: "trg_1" } });
    const lenient = givenClient(baseUrl, givenValidator("off"));
    const strict = givenClient(baseUrl, givenValidator("error"));

    expect(await lenient.getV1EventsByEventKey(key)).toEqual({ id: "trg_1" });
    expect(await strict.getV1EventsByEventKey({ ...key, validate: "off" })).toEqual({ id: "trg_1" });
    await expect(lenient.getV1EventsByEventKey({ ...key, validate: "error" })).rejects.toThrow("answer.");
  });

  test("looks at the operations alone whose schemas it has", async () => {
    const { baseUrl } = await givenServer({ body: { id: "trg_1" } });
    const validator = createValidator({ getV1Events: answerSchemas.getV1Events }, { validate: "error" });
    const client = givenClient(baseUrl, { validator });

    expect(await client.getV1EventsByEventKey(key)).toEqual({ id: "trg_1" });
    await expect(client.getV1Events()).rejects.toMatchObject({ field: "answer.data" });
  });

  test("looks at the events of streams too", async () => {
    const frames = `event: status\nid: 1\ndata: {"id":"trg_1"}\n\nevent: end\ndata: {}\n\n`;
    const { baseUrl } = await givenServer({ body: frames, headers: { "content-type": "text/event-stream" } });
    const { stream } = givenSurfaces(baseUrl, givenValidator("error"));
    const follow = async (input: StreamInput): Promise<unknown[]> => {
      const events: unknown[] = [];
      for await (const { data } of stream.getV1EventsByEventKeyStream?.(input) ?? []) events.push(data);
      return events;
    };

    await expect(follow(key)).rejects.toMatchObject({ _tag: "ValidationError", attempts: 1 });
    expect(await follow({ ...key, validate: "off" })).toEqual([{ id: "trg_1" }]);
  });

  test("does not send what it could not validate, for want of a validator", async () => {
    const { baseUrl, arrived } = await givenServer({ body: trigger });

    const call = givenClient(baseUrl).getV1EventsByEventKey({ ...key, validate: "error" });

    await expect(call).rejects.toMatchObject({ _tag: "ValidationError", field: "validate", attempts: 0 });
    expect(arrived).toEqual([]);
  });

  test("is not made to warn nobody", () => {
    expect(() => createValidator(answerSchemas, { validate: "warn" })).toThrow("onWarning is missing");
  });
});
