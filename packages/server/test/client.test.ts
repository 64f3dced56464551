import { operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { inputOf, startClientWorld } from "./example-client.ts";
import { operationIds } from "./example-world.ts";

const withMedia = (isStream: boolean) => operationIds.filter((id) => (operations[id].media === "sse") === isStream);

describe("the client, against the server, which answers no status that the contract does not have for the operation,", () => {
  test.each(withMedia(false))("calls %s with the contract's example", async (id) => {
    const world = await startClientWorld();

    const answer = await world.clientFor(id).operations[id]?.(inputOf(id));

    expect(answer?.error).toBeUndefined();
    expect(operations[id].success).toContain(answer?.response.status);
    expect(answer?.data === undefined).toBe(answer?.response.status === 204);
  });

  test.each(withMedia(true))("follows %s", async (id) => {
    const world = await startClientWorld();

    const events = world.clientFor(id).stream[id]?.(inputOf(id));

    for await (const event of events ?? []) {
      expect(event).toMatchObject({ event: "status", id: expect.any(String), data: { id: expect.any(String) } });
      return;
    }
    expect.unreachable("the stream told nothing");
  });

  test("follows every list to its end", async () => {
    const world = await startClientWorld();
    const lists = operationIds.filter((id) => operations[id].paginated);

    for (const id of lists) {
      const { operations: answers, paginate } = world.clientFor(id);
      const { query } = inputOf(id);
      const listed: unknown[] = [];
      for await (const item of paginate[id]?.(inputOf(id, { query: { ...query, limit: 1 } })) ?? []) listed.push(item);

      const whole = await answers[id]?.(inputOf(id, { query: { ...query, limit: 100 } }));
      expect({ data: listed }, id).toEqual({ data: (whole?.data as { data: unknown[] } | undefined)?.data });
    }
  });
});
