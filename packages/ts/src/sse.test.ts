import { describe, expect, test } from "vitest";
import { EventTooLarge, readEvents } from "./sse.ts";

/** Type, data and id of an event; the type is `message` where the stream names none. */
type Event = readonly [event: string, data: string, id?: string];

// What the specification of EventSource says, case by case.
const cases: Readonly<Record<string, readonly [text: string, events: readonly Event[]]>> = {
  "two events": [
    "data: a\n\ndata: b\n\n",
    [
      ["message", "a"],
      ["message", "b"],
    ],
  ],
  CRLF: [
    "event: s\r\ndata: a\r\n\r\ndata: b\r\n\r\n",
    [
      ["s", "a"],
      ["message", "b"],
    ],
  ],
  "CR alone": [
    "data: a\r\rdata: b\r\r",
    [
      ["message", "a"],
      ["message", "b"],
    ],
  ],
  "data of several lines": ["data: a\ndata: b\ndata:\ndata: c\n\n", [["message", "a\nb\n\nc"]]],
  comments: [": hi\ndata: a\n: x\n\n:ka\n\n", [["message", "a"]]],
  "a byte order mark": ["\ufeffdata: a\n\n", [["message", "a"]]],
  "one space to strip and no more": [
    "data:  a \n\ndata:b\n\n",
    [
      ["message", " a "],
      ["message", "b"],
    ],
  ],
  "a field without a colon": ["data\n\n", [["message", ""]]],
  "nothing to dispatch without data": ["event: x\nid: 3\n\ndata: a\n\n", [["message", "a"]]],
  "a type that holds for one event": [
    "event: x\ndata: a\n\ndata: b\n\n",
    [
      ["x", "a"],
      ["message", "b"],
    ],
  ],
  "an unknown field": ["foo: 1\ndata: a\n\n", [["message", "a"]]],
  "UTF-8": ["data: héllo 🚀 ✓\n\n", [["message", "héllo 🚀 ✓"]]],
  "a colon in the value": ["data: a: b:c\n\n", [["message", "a: b:c"]]],
  "an incomplete tail": ["data: a\n\ndata: b\n", [["message", "a"]]],
  "an incomplete tail that ends with CR": ["data: a\r\rdata: b\r", [["message", "a"]]],
  "an id": ["id: 7\ndata: a\n\n", [["message", "a", "7"]]],
  "an id with NUL, which is none": [
    "id: 7\ndata: a\n\nid: 8\0\ndata: b\n\n",
    [
      ["message", "a", "7"],
      ["message", "b"],
    ],
  ],
  "an empty line of data": [
    "data:\n\ndata: a\n\n",
    [
      ["message", ""],
      ["message", "a"],
    ],
  ],
  "mixed ends of lines": [
    "data: a\n\r\ndata: b\r\n\n",
    [
      ["message", "a"],
      ["message", "b"],
    ],
  ],
};

function bodyOf(chunks: Iterable<Uint8Array>): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks) if (chunk.length > 0) controller.enqueue(chunk);
      controller.close();
    },
  });
}

async function read(chunks: Iterable<Uint8Array>, maxEventBytes = 1_000): Promise<Event[]> {
  const events: Event[] = [];
  for await (const { event = "message", data, id } of readEvents(bodyOf(chunks), { maxEventBytes })) {
    events.push(id === undefined ? [event, data] : [event, data, id]);
  }
  return events;
}

describe("a stream with", () => {
  test.each(Object.entries(cases))(
    "%s is read the same whole, in two parts at any byte, and byte by byte",
    async (_name, [text, events]) => {
      const bytes = new TextEncoder().encode(text);

      expect(await read([bytes])).toEqual(events);
      for (let at = 1; at < bytes.length; at++) {
        expect(await read([bytes.subarray(0, at), bytes.subarray(at)])).toEqual(events);
      }
      expect(await read(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(events);
    },
  );
});

test("an event that is too large ends the reading, however it arrives", async () => {
  const small = new TextEncoder().encode(`data: ${"x".repeat(80)}\n\n`);
  const large = new TextEncoder().encode(`data: ${"x".repeat(200)}`);

  expect(await read([small, small], 100)).toHaveLength(2);
  await expect(read([small, large], 100)).rejects.toBeInstanceOf(EventTooLarge);
});

test("the server's wish when to come back, and that bytes arrive, are told", async () => {
  const told: unknown[] = [];
  const chunks = ["retry: 250\n", ": still here\n"].map((text) => new TextEncoder().encode(text));

  const events = readEvents(bodyOf(chunks), {
    maxEventBytes: 100,
    onRetry: (ms) => told.push(ms),
    onActivity: () => told.push("active"),
  });

  expect(await events.next()).toEqual({ done: true, value: undefined });
  expect(told).toEqual(["active", 250, "active"]);
});

test("a reader that leaves cancels the body, and so does a signal", async () => {
  const canceled: string[] = [];
  const endless = (name: string) =>
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode("data: a\n\n")),
      cancel: () => void canceled.push(name),
    });
  const abort = new AbortController();

  for await (const _event of readEvents(endless("left"), { maxEventBytes: 100 })) break;
  const events = readEvents(endless("aborted"), { maxEventBytes: 100, signal: abort.signal });
  await events.next();
  const next = events.next();
  abort.abort();

  expect((await next).done).toBe(true);
  expect(canceled).toEqual(["left", "aborted"]);
});
