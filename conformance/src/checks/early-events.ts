import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";
import { eventually, sleep } from "../patience.ts";

const WEEK_MS = 7 * 24 * 3_600_000;

export const earlyEvents = [
  check("B1", async (world) => {
    const key = world.name("key");

    const kept = await world.send(key, { n: 1 });
    const short = await world.send(key, { n: 2 }, { ttl_secs: 60 });
    const strict = await world.send(world.name("strict"), 1, { if_no_waiter: "fail" });

    has(kept, { status: 202, body: { status: "buffered", disposition: "buffered", event_key: key } }, "the answer");
    const lifetimes = [kept, short].map(({ body, headers }) => {
      const sentAt = Date.parse(headers.get("date") ?? new Date().toISOString());
      return Date.parse(body.expires_at) - sentAt;
    });
    const near = (actual: number | undefined, wanted: number) => Math.abs((actual ?? 0) - wanted) < 10_000;
    that(near(lifetimes[0], WEEK_MS), `a lifetime is ${lifetimes[0]} ms, not seven days`);
    that(near(lifetimes[1], 60_000), `a lifetime is ${lifetimes[1]} ms, not the 60 s of ttl_secs`);
    has(strict, { status: 404, body: { error: { code: "not_found" } } }, "with if_no_waiter: fail");
    same((await world.event(key)).status, 404, "the status of a key that has an event but never had a wait");
  }),

  check("B2", async (world) => {
    const key = world.name("key");
    const narrow = world.name("narrow");
    for (const n of [1, 2]) await world.send(key, { n });
    await world.send(narrow, "before the run");
    const run = await world.run();

    const taken = [await run.wait(key), await run.wait(key)];
    const during = await run.read();
    const other = await world.run();
    const since = await other.wait(narrow, { accept_buffered: "since_run_start" });

    const payloads = taken.map(({ body }) => [body.status, body.response_payload]);
    same(
      payloads,
      [
        ["received", { n: 1 }],
        ["received", { n: 2 }],
      ],
      "what two waits took",
    );
    has(during, { status: "executing", checkpoint: { n: 2 } }, "the run");
    same(since.body.status, "waiting", "the status of a wait for events since the start of its run");
    const none = await (await world.run()).wait(world.name("none"), { accept_buffered: "none" });
    same(none.body.status, "waiting", "the status of a wait for no earlier event");
  }),

  check("B3", async (world) => {
    const keys = [world.name("received"), world.name("canceled")];
    for (const key of keys) await world.parked(key);
    await world.send(keys[0] ?? "", "first");
    await world.cancel(keys[1] ?? "");

    for (const [index, key] of keys.entries()) {
      const late = await world.send(key, "second click on the old button");
      const code = index === 0 ? "already_resolved" : "wait_closed";
      has(late, { status: 409, body: { error: { code } } }, "a late send");
      const next = await world.parked(key);
      same(next.trigger.generation, 2, "the generation of the next wait");
      await world.send(key, "its own answer");

      const kept = await world.send(key, "for the next one", { for_next: true });
      has(kept, { status: 202, body: { disposition: "buffered" } }, "a late send with for_next");
      const third = await (await world.run()).wait(key);
      has(third.body, { status: "received", response_payload: "for the next one" }, "the wait after for_next");
    }
  }),

  check("B4", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);
    await world.cancel(key);
    await world.send(key, { late: 1 });
    await world.send(key, { late: 2 });

    const path = `/v1/events/${encodeURIComponent(key)}/sends?disposition=late`;
    const { status, body } = await world.request("GET", path);

    same(status, 200, "the status of the list of late events");
    const [second, first] = body.data;
    has(first, { disposition: "late", payload: { late: 1 }, trigger_id: run.trigger.id }, "the first late event");
    has(second, { disposition: "late", payload: { late: 2 }, generation: 1 }, "the second one");
  }),

  check("B5", async (world) => {
    const payload = { early: world.name("early"), late: world.name("late") };
    const emitter = await world.job(() => ({ body: { rows: 1_000 } }));
    const waiting = await world.parked(payload.late);
    const emit = (step_ref: string, key: string) => ({ step_ref, job_id: emitter.slug, event_emit_key: key });

    const run = await world.workflow([emit("a", "{{payload.early}}"), emit("b", "{{payload.late}}")], payload);

    const resumed = await waiting.dispatch(2);
    same(resumed.headers["x-resume-reason"], "event", "the reason of the resume");
    has(await waiting.read(), { checkpoint: { rows: 1_000 } }, "the run that waited");
    await run.is("completed");
    await (await world.run()).wait(payload.early);
    const early = await eventually("the event of a step that completed before the wait", async () => {
      const { body } = await world.event(payload.early);
      return body.status === "received" ? body : undefined;
    });
    has(early, { generation: 1, response_payload: { rows: 1_000 } }, "the wait that came after its event");
  }),

  check("B6", async (world) => {
    const keys = Array.from({ length: 12 }, (_, n) => world.name(`key-${n}`));
    const runs = await Promise.all(keys.map(() => world.run()));

    const answers = await Promise.all(
      keys.flatMap((key, n) => {
        const open = async () => (await runs[n]?.wait(key))?.status;
        const send = async () => (await world.send(key, n)).status;
        return n % 2 === 0 ? [open(), send()] : [send(), open()];
      }),
    );

    that(
      answers.every((status) => status === 200 || status === 202),
      `a send or a wait was refused: ${answers}`,
    );
    for (const [n, key] of keys.entries()) {
      const { body } = await world.event(key);
      has(body, { status: "received", response_payload: n, generation: 1 }, "a wait that opened as its event came");
    }
  }),

  check("B7", async (world) => {
    const key = world.name("key");
    const kept = await world.send(key, "stale", { ttl_secs: 1 });
    same(kept.status, 202, "the status of the send");
    const run = await world.run();
    await sleep(1_050);

    const opened = await run.wait(key);

    same(opened.body.status, "waiting", "the status of a wait after the lifetime of its event");
    const letters = await eventually("a dead letter", async () => {
      const { body } = await world.request("GET", `/v1/event-dead-letters?prefix=${encodeURIComponent(key)}`);
      return body.data.length > 0 ? body.data : undefined;
    });
    has(letters, [{ event_key: key, reason: "expired", payload: "stale" }], "the dead letters of the key");
  }),
];
