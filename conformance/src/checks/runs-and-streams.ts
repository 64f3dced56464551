import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";
import { sleep } from "../patience.ts";
import type { Frame } from "../stream.ts";
import { eventKeyPath } from "../world.ts";

const statuses = (frames: readonly (Frame | undefined)[]) =>
  frames.map((frame) => (frame?.event === "status" ? frame.data.status : frame?.event));

/** More than a stream needs to notice that its process heard nothing of a change: a poll stands behind every hint. */
const HINT_LIMIT_MS = 10_000;

export const runsAndStreams = [
  check("X1", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);
    await Promise.all(Array.from({ length: 4 }, () => world.send(key, { approved: true })));
    const resumed = await run.dispatch(2);

    const old = await run.wait(world.name("other"));
    const fetched = await run.report("GET", "checkpoint", { token: resumed.runToken });

    same(resumed.headers["x-resume-reason"], "event", "the reason of the resume");
    same(JSON.parse(String(resumed.headers["x-last-checkpoint"])), { approved: true }, "the payload of the dispatch");
    has(fetched, { status: 200, body: { state: { approved: true } } }, "the checkpoint, asked for");
    has(old, { status: 409, body: { error: { code: "stale_dispatch" } } }, "what the older dispatch got");
    await sleep(500);
    same((await run.read()).dispatch_seq, 2, "the number of the last dispatch");
  }),

  check("X2", async (world) => {
    const keys = Array.from({ length: 100 }, (_, n) => world.name(`key-${n}`));
    await Promise.all(keys.map((key) => world.parked(key)));

    const quick = await world.run();

    await quick.report("POST", "complete", { body: { result: "not held up" } });
    has(await quick.is("completed"), { result: "not held up" }, "a run beside a hundred that wait");
  }),

  check("T1", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);
    const { trigger_id: _, ...trigger } = run.trigger;
    const path = `${eventKeyPath(key)}/stream`;

    const stream = await world.stream(path);
    const snapshot = await stream.next();
    await world.send(key, { result: "clear" });
    const rest = await stream.rest();
    const again = await world.stream(path, { headers: { "last-event-id": rest[0]?.id ?? "" } });

    same(stream.headers.get("content-type")?.split(";")[0], "text/event-stream", "the content type");
    has(snapshot, { event: "status", data: trigger }, "the snapshot");
    same(statuses(rest), ["received", "end"], "what follows it");
    const ids = [snapshot?.id, rest[0]?.id];
    that(ids.every(Boolean) && ids[0] !== ids[1], `the ids are ${ids}`);
    that(stream.retryMs !== undefined, "the stream says after how long to come back");
    same(again.status, 204, "the status for a reader who has seen the end");
  }),

  check("T2", async (world) => {
    const run = await world.run();
    const numbers = Array.from({ length: 20 }, (_, n) => n + 1);
    const stream = await world.stream(`/v1/runs/${run.id}/stream`);
    await stream.next();

    for (const percent of numbers) await run.report("POST", "progress", { body: { percent, message: "going on" } });
    await run.report("POST", "complete", { body: {} });
    const frames = (await stream.rest()).filter(({ event }) => event === "status");

    const seen = [...new Set(frames.map(({ data }) => data.progress?.percent))];
    const sorted = [...seen].sort((a, b) => a - b);
    same(seen, sorted, "the order of what the stream told");
    same(
      frames.at(-1)?.data,
      await run.read().then(({ payload: _, result: _r, checkpoint: _c, ...rest }) => ({
        ...frames.at(-1)?.data,
        ...rest,
      })),
      "the last status",
    );
    same(new Set(frames.map(({ id }) => id)).size, frames.length, "the number of different ids");
  }),

  check("T3", async (world) => {
    const [key, other] = [world.name("key"), world.name("other")];
    await world.parked(key);
    await world.parked(other);
    const path = `${eventKeyPath(key)}/stream`;
    const stream = await world.stream(path);
    const seen = await stream.next();
    await stream.leave();
    const elsewhere = await world.stream(`${eventKeyPath(other)}/stream`);
    const foreign = await elsewhere.next();
    await elsewhere.leave();
    await world.send(key, 1);

    const byHeader = await (await world.stream(path, { headers: { "last-event-id": seen?.id ?? "" } })).rest();
    const byQuery = await (await world.stream(`${path}?cursor=${seen?.id}`)).rest();
    const refused = await world.request("GET", `${path}?cursor=${foreign?.id}`);

    same(statuses(byHeader), ["received", "end"], "what follows the cursor of Last-Event-ID");
    same(byQuery, byHeader, "what follows the cursor of the query");
    same(refused.status, 400, "the status for the cursor of another stream");
  }),

  check("T5", async (world) => {
    const keys = Array.from({ length: 6 }, (_, n) => world.name(`key-${n}`));
    await Promise.all(keys.map((key) => world.parked(key)));

    const told = await Promise.all(
      keys.map(async (key) => {
        const stream = await world.stream(`${eventKeyPath(key)}/stream`);
        await stream.next();
        const sentAt = performance.now();
        await world.send(key, 1);
        return { frames: statuses(await stream.rest()), ms: performance.now() - sentAt };
      }),
    );

    for (const { frames, ms } of told) {
      same(frames, ["received", "end"], "what a stream told of a send");
      that(ms < HINT_LIMIT_MS, `a stream learned of a send after ${Math.round(ms)} ms`);
    }
  }),

  check("T6", async (world) => {
    const [key, other] = [world.name("key"), world.name("other")];
    await world.parked(key);
    await world.parked(other);
    const made = await world.request("POST", "/v1/stream-tokens", { body: { event_key: key, expires_in_secs: 60 } });
    same(made.status, 201, `the status of making a token (${JSON.stringify(made.body)})`);
    const { token, url } = made.body;

    const stream = await world.stream(url, { token: null });
    const snapshot = await stream.next();
    const elsewhere = await world.request("GET", `${eventKeyPath(other)}/stream?token=${token}`, { token: null });
    const asKey = await world.request("POST", `${eventKeyPath(key)}/send`, { token, body: {} });
    await stream.leave();

    has(snapshot, { event: "status", data: { event_key: key, status: "waiting" } }, "what the token's stream shows");
    same(elsewhere.status, 403, "the status of another stream with it");
    same(asKey.status, 401, "the status of a send with it");
  }),
];
