import { getEventListeners } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import type { ClientOptions } from "../src/options.ts";
import type { StreamEvent } from "../src/runtime.ts";
import type { StreamInput } from "../src/stream.ts";
import { type FakeClock, fakeClock, givenSurfaces } from "./fixture/client.ts";
import { errorBody, givenServer, type Reply } from "./fixture/server.ts";

const frame = (id: number, data: unknown = { n: id }, event = "status") =>
  `event: ${event}\nid: ${id}\ndata: ${JSON.stringify(data)}\n\n`;
const end = "event: end\ndata: {}\n\n";
const keepalive = "event: keepalive\ndata: {}\n\n";

/** A connection that sends the text and then ends, breaks, or goes silent. */
function sse(text: string, then: "end" | "break" | "silence" = "end"): Reply {
  return (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(text, () => {
      if (then === "end") response.end();
      if (then === "break") setTimeout(() => response.destroy(), 5);
    });
    response.flushHeaders();
  };
}

async function givenStream(
  replies: readonly Reply[],
  { clock = fakeClock(), ...options }: Partial<ClientOptions> & { readonly clock?: FakeClock } = {},
) {
  const { baseUrl, arrived } = await givenServer(...replies);
  const { stream } = givenSurfaces(baseUrl, { clock, ...options });
  const open = (input: StreamInput = {}) => {
    const events = stream.getV1EventsByEventKeyStream?.({ pathParams: { eventKey: "k" }, ...input });
    if (!events) throw new Error("there is no such stream");
    return events;
  };
  const cursors = () => arrived.map(({ headers }) => headers["last-event-id"]);
  return { open, arrived, cursors, clock };
}

async function collect(events: AsyncIterable<StreamEvent<unknown>>): Promise<unknown[]> {
  const all: unknown[] = [];
  for await (const { data } of events) all.push((data as { readonly n: number }).n);
  return all;
}

async function firstOf(events: AsyncIterable<StreamEvent<unknown>>): Promise<unknown> {
  for await (const { data } of events) return (data as { readonly n: number }).n;
  return undefined;
}

describe("a stream", () => {
  test.each([
    { retries: 1.5 },
    { retries: -1 },
    { stallMs: Number.POSITIVE_INFINITY },
    { maxEventBytes: Number.NaN },
    { deadlineMs: 0 },
  ])("refuses %j, and connects to nothing", async (limit) => {
    const { open, arrived } = await givenStream([sse(frame(1))]);
    const [field] = Object.keys(limit);

    await expect(collect(open(limit))).rejects.toMatchObject({ _tag: "ValidationError", attempts: 0, field });
    expect(arrived).toHaveLength(0);
  });

  test("takes no limit at all where it has none by itself", async () => {
    const { open } = await givenStream([sse(frame(1))]);

    const first = await firstOf(open({ retries: Number.POSITIVE_INFINITY, deadlineMs: Number.POSITIVE_INFINITY }));

    expect(first).toBe(1);
  });

  test("gives each state, hides what keeps it alive, and ends when the server says so (T1)", async () => {
    const { open, arrived } = await givenStream([sse(`retry: 1000\n\n${frame(1)}${keepalive}${frame(2)}${end}`)]);
    const events: StreamEvent<unknown>[] = [];

    for await (const event of open()) events.push(event);

    expect(events).toEqual([
      { event: "status", id: "1", data: { n: 1 } },
      { event: "status", id: "2", data: { n: 2 } },
    ]);
    expect(arrived).toHaveLength(1);
    expect(arrived[0]).toMatchObject({ url: "/v1/events/k/stream", headers: { accept: "text/event-stream" } });
  });

  test.each(["end", "break"] as const)(
    "goes on behind the last event after an %s without its end (T3)",
    async (then) => {
      const { open, cursors } = await givenStream([sse(frame(1), then), sse(frame(2), then), sse(frame(3) + end)]);

      expect(await collect(open())).toEqual([1, 2, 3]);
      expect(cursors()).toEqual([undefined, "1", "2"]);
    },
  );

  test("starts behind the event that it is given, and drops what it has seen (T4)", async () => {
    const { open, cursors } = await givenStream([sse(frame(4) + frame(5)), sse(frame(5) + frame(4) + frame(6) + end)]);

    expect(await collect(open({ lastEventId: "4" }))).toEqual([5, 6]);
    expect(cursors()).toEqual(["4", "5"]);
  });

  test("reports a hole: after a reset what happened in between is lost (T3, T4)", async () => {
    const { open, cursors } = await givenStream([sse(frame(7)), sse(frame(1, { n: 1 }, "reset")), sse(frame(7) + end)]);
    const told: string[] = [];

    for await (const { event, id } of open()) told.push(`${event} ${id}`);

    expect(told).toEqual(["status 7", "reset 1", "status 7"]);
    expect(cursors()).toEqual([undefined, "7", "1"]);
  });

  test("forgets its place at an empty id", async () => {
    const { open, cursors } = await givenStream([sse(`${frame(1)}id:\ndata: {"n":2}\n\n`), sse(end)]);

    expect(await collect(open())).toEqual([1, 2]);
    expect(cursors()).toEqual([undefined, undefined]);
  });

  test("is over when there is nothing more to come", async () => {
    const { open, arrived } = await givenStream([sse(frame(1)), { status: 204 }]);

    expect(await collect(open())).toEqual([1]);
    expect(arrived).toHaveLength(2);
  });

  test("starts anew with each loop over it", async () => {
    const { open, arrived } = await givenStream([sse(frame(1) + end)]);
    const events = open();

    expect([...(await collect(events)), ...(await collect(events))]).toEqual([1, 1]);
    expect(arrived).toHaveLength(2);
  });

  test("survives 100 connections that break at random points, and gives every event once (T4)", async () => {
    const total = 300;
    let seed = 20_260_101;
    const random = () => {
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return seed / 2_147_483_648;
    };
    let broken = 0;
    const encoder = new TextEncoder();
    const bytesFrom = (cursor: string | undefined) => {
      const frames = Array.from({ length: total }, (_, index) => frame(index + 1, { n: index + 1, text: "größe ✓" }));
      return encoder.encode(`${frames.slice(Number(cursor ?? 0)).join("")}${end}`);
    };
    const { stream } = givenSurfaces("https://strait.dev", {
      fetch: async (_url, { headers }) => {
        const bytes = bytesFrom(headers["last-event-id"]);
        const isBroken = broken < 100;
        broken += 1;
        const upTo = isBroken ? Math.floor(random() * Math.min(bytes.length, 800)) : bytes.length;
        let sent = 0;
        const body = new ReadableStream<Uint8Array>({
          pull(controller) {
            if (sent < upTo) {
              const chunk = bytes.slice(sent, Math.min(upTo, sent + 1 + Math.floor(random() * 120)));
              sent += chunk.length;
              controller.enqueue(chunk);
            } else if (isBroken && random() < 0.5) controller.error(new TypeError("terminated"));
            else controller.close();
          },
        });
        return new Response(body, { headers: { "content-type": "text/event-stream" } });
      },
    });

    const events = stream.getV1EventsByEventKeyStream?.({ pathParams: { eventKey: "k" } });
    const seen = events && (await collect(events));

    expect(seen).toEqual(Array.from({ length: total }, (_, index) => index + 1));
    expect(broken).toBe(101);
  });
});

describe("a stream that breaks", () => {
  test("comes back after a random wait below a ceiling that doubles up to 30 s", async () => {
    const { open, clock } = await givenStream([...Array(8).fill({ status: 503 }), sse(end)]);

    await collect(open());

    expect(clock.slept).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  test("counts from anew after an event, and from what the server says", async () => {
    const { open, clock } = await givenStream([
      ...[{ status: 503 }, { status: 503 }, sse(`retry: 100\n\n${frame(1)}`), { status: 500 }, sse(end)],
    ]);

    await collect(open());

    expect(clock.slept).toEqual([500, 1_000, 50, 100]);
  });

  test("follows Retry-After, up to the cap", async () => {
    const busy = (seconds: string): Reply => ({ status: 429, headers: { "retry-after": seconds } });
    const { open, clock } = await givenStream([busy("7"), busy("61")]);

    await expect(collect(open())).rejects.toMatchObject({ _tag: "RateLimitedError", retryAfterMs: 61_000 });
    expect(clock.slept).toEqual([7_000]);
  });

  test("gives up after as many failures in a row as it may have", async () => {
    const { open, arrived } = await givenStream([sse(frame(1), "break"), { status: 503 }]);

    await expect(collect(open({ retries: 3 }))).rejects.toMatchObject({ _tag: "ServerError", attempts: 4 });
    expect(arrived).toHaveLength(4);
  });

  test("gives up at its deadline, waiting or reading", async () => {
    const waiting = await givenStream([{ status: 503, headers: { "retry-after": "9" } }]);
    const reading = await givenStream([sse(frame(1), "silence")], { clock: { ...fakeClock(), now: Date.now } });

    await expect(collect(waiting.open({ deadlineMs: 5_000 }))).rejects.toMatchObject({ limit: "deadlineMs" });
    await expect(collect(reading.open({ deadlineMs: 150 }))).rejects.toMatchObject({ limit: "deadlineMs" });
    expect(waiting.clock.slept).toEqual([]);
  });

  test("by falling silent is replaced by another connection", async () => {
    const { open, cursors } = await givenStream([sse(frame(1), "silence"), sse(frame(2) + end)]);

    expect(await collect(open({ stallMs: 40 }))).toEqual([1, 2]);
    expect(cursors()).toEqual([undefined, "1"]);
  });

  test("is not silent while it says that it is there", async () => {
    const { open, arrived } = await givenStream([
      (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        let beats = 0;
        const beat = setInterval(() => {
          response.write(beats < 8 ? keepalive : frame(1) + end);
          if (beats++ === 8) clearInterval(beat);
        }, 20);
      },
    ]);

    expect(await collect(open({ stallMs: 100 }))).toEqual([1]);
    expect(arrived).toHaveLength(1);
  });
});

describe("a stream stops", () => {
  test.each([400, 403, 404, 409, 410, 422])("at %i, which another connection would not change", async (status) => {
    const { open, arrived } = await givenStream([{ status, body: errorBody("some_code", "no") }]);

    await expect(collect(open())).rejects.toMatchObject({ status, attempts: 1 });
    expect(arrived).toHaveLength(1);
  });

  test("at a 401 after one refresh, and goes on when that helps", async () => {
    const refused: Reply = { status: 401, body: errorBody("unauthorized", "expired") };
    let asked = 0;
    const token = () => `token-000${++asked}`;
    const options = { auth: { type: "bearer", token } } as const;
    const hopeless = await givenStream([refused], options);
    await expect(collect(hopeless.open())).rejects.toMatchObject({ _tag: "UnauthorizedError", attempts: 2 });
    expect([hopeless.arrived.length, asked]).toEqual([2, 2]);

    const helped = await givenStream([refused, sse(frame(1)), refused, sse(frame(2) + end)], options);

    expect(await collect(helped.open())).toEqual([1, 2]);
  });

  test("at a 401 at once when its token is fixed", async () => {
    const { open, arrived } = await givenStream([{ status: 401 }]);

    await expect(collect(open())).rejects.toMatchObject({ _tag: "UnauthorizedError" });
    expect(arrived).toHaveLength(1);
  });

  test.each<[string, Reply, string]>([
    ["that is no stream", { body: {} }, "DecodeError"],
    ["that holds no JSON", sse("data: {\n\n"), "ProtocolError"],
    ["that is too large", sse(`data: "${"x".repeat(2_000)}`, "silence"), "ProtocolError"],
  ])("at an answer %s", async (_what, reply, tag) => {
    const { open, arrived } = await givenStream([reply]);

    await expect(collect(open({ maxEventBytes: 1_000 }))).rejects.toMatchObject({ _tag: tag });
    expect(arrived).toHaveLength(1);
  });

  test.each(["reading", "waiting"])(
    "when its signal is aborted while it is %s, and leaves no listener",
    async (what) => {
      const clock = fakeClock();
      const abort = new AbortController();
      const sleep = () => {
        abort.abort(new Error("enough"));
        return Promise.resolve();
      };
      const { open } = await givenStream([sse(frame(1), what === "reading" ? "silence" : "break")], {
        clock: { ...clock, sleep },
      });
      const read = async () => {
        for await (const _event of open({ signal: abort.signal }))
          if (what === "reading") setTimeout(() => abort.abort(), 5);
      };

      await expect(read()).rejects.toMatchObject({ _tag: "AbortError" });
      expect(getEventListeners(abort.signal, "abort")).toEqual([]);
    },
  );

  test("when its reader leaves, which ends the connection", async () => {
    let hasEnded = () => {};
    const ended = new Promise<void>((resolve) => {
      hasEnded = resolve;
    });
    const { open } = await givenStream([
      (response) => {
        response.writeHead(200, { "content-type": "text/event-stream" });
        response.write(frame(1));
        response.on("close", hasEnded);
      },
    ]);

    for await (const _event of open()) break;

    await expect(ended).resolves.toBeUndefined();
  });
});
