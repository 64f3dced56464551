import { check } from "../check.ts";
import { has, same } from "../expect.ts";

export const uniqueness = [
  check("U1", async (world) => {
    const key = world.name("key");
    const runs = await Promise.all([world.run(), world.run(), world.run(), world.run()]);

    const opened = await Promise.all(runs.map((run) => run.wait(key)));
    await world.send(key, "answer");
    const next = await world.parked(key);

    const answers = opened.map(({ status, body }) => body.error?.code ?? `${status} ${body.status}`).sort();
    same(answers, ["200 waiting", "key_in_use", "key_in_use", "key_in_use"], "what four waits at once got");
    same(next.trigger.generation, 2, "the generation of a wait after the end of the first");
  }),

  check("U2", async (world) => {
    const key = world.name("key");
    const first = await world.parked(key, { on_cancel: "resume" });
    const runs = [await world.run(), await world.run(), await world.run()] as const;

    const refused = await runs[0].wait(key);
    const replaced = await runs[1].wait(key, { on_conflict: "replace" });
    const joined = await runs[2].wait(key, { on_conflict: "join" });
    const sent = await world.send(key, { approved: true });

    has(refused, { status: 409, body: { error: { code: "key_in_use" } } }, "a wait that is to fail");
    same(refused.body.error.details.trigger_id, first.trigger.id, "the wait that it names");
    has(replaced.body, { status: "waiting", generation: 2 }, "a wait that replaces");
    const ended = await first.dispatch(2);
    has(JSON.parse(String(ended.headers["x-last-checkpoint"])), { kind: "superseded" }, "what the first run is told");
    same([joined.body.status, sent.body.disposition], ["waiting", "delivered"], "a wait that joins, and the answer");
    for (const run of [runs[1], runs[2]]) {
      const { headers } = await run.dispatch(2);
      same(JSON.parse(String(headers["x-last-checkpoint"])), { approved: true }, "what both runs are told");
    }
  }),

  check("U3", async (world) => {
    const [key, exclusive] = [world.name("key"), world.name("exclusive")];
    const runs = await Promise.all(Array.from({ length: 4 }, () => world.parked(key, { broadcast: true })));
    await world.parked(exclusive);

    const mixed = [await (await world.run()).wait(key), await (await world.run()).wait(exclusive, { broadcast: true })];
    const sent = await world.send(key, "for all");

    for (const answer of mixed) has(answer, { status: 409, body: { error: { code: "key_in_use" } } }, "a mixed wait");
    has(sent, { status: 200, body: { disposition: "delivered" } }, "the one send");
    for (const run of runs) {
      const { headers } = await run.dispatch(2);
      same(JSON.parse(String(headers["x-last-checkpoint"])), "for all", "what each run is told");
    }
  }),

  check("U4", async (world) => {
    const key = world.name("key");
    const first = await world.parked(key);
    await world.send(key, "approved");
    const second = await world.parked(key);

    const stale = [
      await world.send(key, "approved", { generation: 1 }),
      await world.send(key, "approved", { trigger_id: first.trigger.id }),
      await world.send(key, "approved", { generation: 3 }),
    ];
    const untouched = await world.event(key);
    const named = await world.send(key, "ok", { generation: 2, trigger_id: second.trigger.id });

    same([first.trigger.generation, second.trigger.generation], [1, 2], "the generations");
    for (const { status, body } of stale) {
      const error = { code: "stale_generation", details: { generation: 2 } };
      has({ status, body }, { status: 409, body: { error } }, "a send to another generation");
    }
    same(untouched.body.status, "waiting", "the status after sends to other generations");
    same(named.body.disposition, "delivered", "the disposition of a send to this generation");
  }),

  check("U5", async (world) => {
    const prefix = world.name("kë");
    const decomposed = `${prefix}:u\u0308`.normalize("NFD");
    const longest = `${prefix}:`.normalize("NFC").padEnd(512, "x");
    const run = await world.run();

    const refused = [await run.wait(`${longest}x`), await run.wait(`${prefix}\u0007`), await run.wait("")];
    const waiting = await world.parked(decomposed);
    const sent = await world.send(decomposed.normalize("NFC"), 1);
    const upper = await world.send(decomposed.toUpperCase(), 1);
    const long = await run.wait(longest);

    for (const { status, body } of refused) {
      has({ status, body }, { status: 400, body: { error: { code: "validation_error" } } }, "a key that is no key");
      same(body.error.details.issues[0].field, "/event_key", "the field that is to blame");
    }
    has(sent.body, { id: waiting.trigger.id, event_key: decomposed.normalize("NFC") }, "a send to the same key in NFC");
    same(upper.body.status, "buffered", "the status of a send to the key in upper case");
    same(long.body.event_key, longest, "a key of 512 characters");
    const elsewhere = await (await world.elsewhere()).event(longest);
    same(elsewhere.status, 404, "the status of the same key in another project");
  }),

  check("U6", async (world) => {
    const user = world.name("user");
    const first = await world.job(() => ({ body: { case: 7 } }));
    const steps = [
      { step_ref: "open", job_id: first.slug },
      {
        step_ref: "filled",
        type: "wait_for_event",
        event_key: "{{payload.user}}:{{parent_outputs.open.case}}",
        depends_on: ["open"],
      },
      {
        step_ref: "hole",
        type: "wait_for_event",
        event_key: "{{payload.user}}:{{parent_outputs.open.nothing}}",
        depends_on: ["open"],
        on_failure: "continue",
      },
    ];

    const run = await world.workflow(steps, { user });

    await run.step("filled", "waiting");
    has((await world.event(`${user}:7`)).body, { status: "waiting" }, "the wait on the filled key");
    const failed = await run.step("hole", "failed");
    same(failed.event_trigger_id, null, "the wait of a step whose key has a hole");
    const holes = await world.request("GET", `/v1/events?prefix=${encodeURIComponent(`${user}:`)}`);
    same(holes.body.data.length, 1, "the number of waits under the prefix");
  }),
];
