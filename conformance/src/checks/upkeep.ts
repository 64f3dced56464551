import { check } from "../check.ts";
import { has, same } from "../expect.ts";
import type { World } from "../world.ts";

const purge = (world: World, body: object) => world.request("POST", "/v1/events/purge", { body });

export const upkeep = [
  check("B8", async (world) => {
    const key = world.name("key");
    await world.send(key, { approved: "perhaps" });
    const run = await world.run();

    const opened = await run.wait(key, {
      payload_schema: { type: "object", properties: { approved: { type: "boolean" } }, required: ["approved"] },
    });
    const unfit = await world.send(key, { approved: 1 });
    const fit = await world.send(key, { approved: true });

    same(opened.body.status, "waiting", "the status of a wait whose early event does not fit");
    const letters = await world.request("GET", `/v1/event-dead-letters?prefix=${encodeURIComponent(key)}`);
    const letter = { reason: "payload_mismatch", payload: { approved: "perhaps" }, trigger_id: opened.body.id };
    has(letters.body.data, [letter], "the dead letters of the key");
    has(unfit, { status: 422, body: { error: { code: "payload_mismatch" } } }, "an answer that does not fit");
    same(unfit.body.error.details.issues[0].field.endsWith("/approved"), true, "that the issue points to the member");
    has(fit.body, { disposition: "delivered", response_payload: { approved: true } }, "an answer that fits");
  }),

  check("W4", async (here) => {
    const world = await here.elsewhere();
    const keys = [world.name("received"), world.name("canceled"), world.name("waiting")];
    const runs = await Promise.all(keys.map((key) => world.parked(key)));
    await world.send(keys[0] ?? "", 1);
    await world.cancel(keys[1] ?? "");
    const resumed = await runs[0]?.dispatch(2);
    await runs[0]?.report("POST", "complete", { token: resumed?.runToken ?? "", body: {} });
    await Promise.all([runs[0]?.is("completed"), runs[1]?.is("canceled")]);
    const before = new Date(Date.now() + 60_000).toISOString();

    const { body: look } = await purge(world, { before, dry_run: true });
    const untouched = await world.event(keys[0] ?? "");
    const wrong = await purge(world, { before, expect: { count: look.count + 1 } });
    const done = await purge(world, { before, expect: { count: look.count, digest: look.digest } });

    has(look, { dry_run: true, count: 2 }, "the look at what would be deleted");
    same(untouched.status, 200, "the status of a wait after the look");
    has(wrong, { status: 409, body: { error: { code: "expectation_failed" } } }, "a deletion of another number");
    has(done, { status: 200, body: { dry_run: false, count: 2, digest: look.digest } }, "the deletion");
    const left = await Promise.all(keys.map(async (key) => (await world.event(key)).status));
    same(left, [404, 404, 200], "the statuses of what was received, canceled and waits");
  }),

  check("ST-14", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);
    const listed = await world.request("GET", `/v1/events?status=waiting&prefix=${encodeURIComponent(key)}`);
    const read = await world.event(key);

    const sent = await world.send(key, { approved: true });
    const look = await purge(world, { older_than_days: 1, dry_run: true });

    same(
      listed.body.data.map(({ id }: { id: string }) => id),
      [run.trigger.id],
      "what is listed",
    );
    same(read.body.id, run.trigger.id, "what is read");
    same(sent.body.status, "received", "the status after the send");
    has(look, { status: 200, body: { dry_run: true } }, "the look at what would be deleted");
  }),
];
