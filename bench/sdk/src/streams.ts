import path from "node:path";
import { pathToFileURL } from "node:url";
import { median } from "../../src/statistics.ts";
import { loadPackage } from "./contenders.ts";
import type { Workshop } from "./prepare.ts";

/** Megabytes of events a second, from the bytes of a body to parsed events. */
export interface StreamSpeed {
  readonly name: string;
  readonly [load: string]: number | string;
}

type Reader = (response: Response) => AsyncIterable<unknown>;

const encoder = new TextEncoder();

const loads = [
  { name: "64 KiB chunks", bytes: manyEvents(20_000), chunk: 65_536, events: 20_000 },
  { name: "1 KiB chunks", bytes: manyEvents(20_000), chunk: 1_024, events: 20_000 },
  { name: "an event of 2 MB", bytes: oneLargeEvent(), chunk: 16_384, events: 1 },
] as const;

export async function measureStreams(workshop: Workshop, rounds: number): Promise<StreamSpeed[]> {
  const readers = await openReaders(workshop);
  const speeds: StreamSpeed[] = Object.keys(readers).map((name) => ({ name }));
  for (const load of loads) {
    const seconds = new Map<string, number[]>();
    for (let round = 0; round <= rounds; round++) {
      for (const [name, read] of Object.entries(readers)) {
        // Not all of them take an event of 2 MB.
        const time = await timed(read, load).catch(() => Number.NaN);
        // The first round warms up.
        if (round > 0) seconds.set(name, [...(seconds.get(name) ?? []), time]);
      }
    }
    for (const [index, { name }] of speeds.entries()) {
      const speed = load.bytes.length / 1e6 / median(seconds.get(name) ?? []);
      speeds[index] = { ...speeds[index], name, [load.name]: speed };
    }
  }
  return speeds;
}

async function timed(read: Reader, { name, bytes, chunk, events }: (typeof loads)[number]): Promise<number> {
  const started = performance.now();
  let count = 0;
  for await (const event of read(inChunks(bytes, chunk))) if (event) count += 1;
  if (count !== events) throw new Error(`${name}: ${count} events instead of ${events}`);
  return (performance.now() - started) / 1_000;
}

async function openReaders(workshop: Workshop): Promise<Record<string, Reader>> {
  const ours = (await import(pathToFileURL(path.join(workshop.ours, "src", "sse.ts")).href)) as {
    readEvents(body: unknown, options: { readonly maxEventBytes: number }): AsyncIterable<unknown>;
  };
  const { _iterSSEMessages } = await loadPackage<{
    _iterSSEMessages(response: Response, controller: AbortController): AsyncIterable<unknown>;
  }>(workshop, "openai/core/streaming");
  const { EventSourceParserStream } = await loadPackage<{
    EventSourceParserStream: new () => TransformStream<string, unknown>;
  }>(workshop, "eventsource-parser/stream");
  const { createClient, OPERATIONS } = (await import(
    pathToFileURL(path.join(workshop.folder, "gen", "redocly.mjs")).href
  )) as {
    createClient(
      operations: unknown,
      options: object,
    ): { getV1EventsByEventKeyStream(input: object, options: object): AsyncIterable<unknown> };
    readonly OPERATIONS: unknown;
  };
  return {
    "@strait/ts": (response) => ours.readEvents(response.body, { maxEventBytes: 16 * 1024 * 1024 }),
    "eventsource-parser/stream": ({ body }) =>
      body?.pipeThrough(new TextDecoderStream() as never).pipeThrough(new EventSourceParserStream()) as never,
    redocly: (response) =>
      createClient(OPERATIONS, { serverUrl: "http://x", fetch: async () => response }).getV1EventsByEventKeyStream(
        { path: { eventKey: "k" } },
        { reconnect: false },
      ),
    "openai's core": (response) => _iterSSEMessages(response, new AbortController()),
  };
}

function inChunks(bytes: Uint8Array, size: number): Response {
  let at = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) return controller.close();
      controller.enqueue(bytes.slice(at, at + size));
      at += size;
    },
  });
  return new Response(body, { headers: { "content-type": "text/event-stream" } });
}

function manyEvents(count: number): Uint8Array {
  const padding = { note: "x".repeat(120), source: "v".repeat(64) };
  const events = Array.from({ length: count }, (_, index) => {
    const data = { id: `trg_${index}`, event_key: `aml:user-${index}`, status: "waiting", payload: padding };
    return `id: ${index}\nevent: status\ndata: ${JSON.stringify({ ...data, created_at: "2026-01-01T00:00:00.000Z" })}\n\n`;
  });
  return encoder.encode(events.join(""));
}

function oneLargeEvent(): Uint8Array {
  return encoder.encode(`id: 1\nevent: status\ndata: ${JSON.stringify({ blob: "y".repeat(2_000_000) })}\n\n`);
}
