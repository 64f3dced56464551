import type { Answer } from "../api.ts";
import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";
import type { Run, World } from "../world.ts";

interface Message {
  readonly name: string;
  readonly payload: unknown;
}

const message = (world: World, run: Run, name: string, payload: unknown, headers: Record<string, string> = {}) =>
  world.request("POST", `/v1/runs/${run.id}/inbox/${name}`, { body: { payload }, headers });

/** `inbox/receive`, as the code of the run would call it. */
const receive = (run: Run, options: object = {}, token = run.token) =>
  run.report("POST", "inbox/receive", { token, body: options });

const payloadsOf = ({ body }: Answer): unknown[] => body.messages.map(({ payload }: Message) => payload);

export const inboxes = [
  check("S6", async (world) => {
    const run = await world.run();
    const once = { "idempotency-key": world.name("once") };

    const twice = [await message(world, run, "chat", "hello"), await message(world, run, "chat", "hello")];
    const repeated = [await message(world, run, "chat", "once", once), await message(world, run, "chat", "once", once)];
    const unknown = await world.request("POST", "/v1/runs/run_01k0000000e0080000000000no/inbox/chat", { body: {} });
    const kept = await world.request("GET", `/v1/runs/${run.id}/inbox`);
    await run.report("POST", "complete", { body: {} });
    await run.is("completed");
    const late = await message(world, run, "chat", "too late");

    for (const answer of twice) has(answer, { status: 202, body: { disposition: "buffered" } }, "a message");
    same(repeated[1]?.body, repeated[0]?.body, "the answer to a repeat");
    same(unknown.status, 404, "the status of a message to an unknown run");
    const payloads = kept.body.data.map(({ payload }: Message) => payload);
    same(payloads, ["hello", "hello", "once"], "the messages of the inbox");
    has(late, { status: 409, body: { error: { code: "run_closed" } } }, "a message to a run that has ended");
  }),

  check("O1", async (world) => {
    const run = await world.run();
    await Promise.all(Array.from({ length: 12 }, (_, n) => message(world, run, "chat", n)));

    const listed = await world.request("GET", `/v1/runs/${run.id}/inbox?limit=100`);
    const received = await receive(run, { max: 100 });

    const sequences = listed.body.data.map(({ sequence }: { sequence: number }) => sequence);
    same(sequences, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "the numbers of messages sent at once");
    const inOrder = listed.body.data.map(({ payload }: Message) => payload);
    same(payloadsOf(received), inOrder, "the order in which the run received them");
  }),

  check("O2", async (world) => {
    const run = await world.run();
    const numbers = Array.from({ length: 10 }, (_, n) => n);
    for (const n of numbers) await message(world, run, n % 2 === 0 ? "even" : "odd", n);

    const odd = await receive(run, { names: ["odd"], max: 100 });
    const rest = await receive(run, { max: 100 });

    same(payloadsOf(odd), [1, 3, 5, 7, 9], "the messages of one kind");
    same(payloadsOf(rest), [0, 2, 4, 6, 8], "the others, which stayed in place");
  }),

  check("GR-01", async (world) => {
    const run = await world.run();
    const executing = await message(world, run, "first", 1);
    await run.wait(world.name("key"));
    const waiting = await message(world, run, "second", 2);

    const { body } = await world.request("GET", `/v1/runs/${run.id}/inbox`);

    same([executing.status, waiting.status], [202, 202], "the statuses of messages to a run that does not ask");
    const names = body.data.map(({ name }: Message) => name);
    same(names, ["first", "second"], "the inbox, in the order of arrival");
  }),

  check("GR-02", async (world) => {
    const [early, late] = [await world.run(), await world.run()];
    await message(world, early, "order.rejected", { reason: "amount" });

    const there = await receive(early);
    const asked = await receive(late);
    const sent = await message(world, late, "order.rejected", { reason: "amount" });

    has(there, { status: 200, body: { status: "received", trigger: null } }, "a receive of what is there");
    same(payloadsOf(there), [{ reason: "amount" }], "what was there");
    has(asked.body, { status: "waiting", messages: [] }, "a receive of nothing");
    has(sent, { status: 200, body: { disposition: "delivered" } }, "the message that it waited for");
    const { headers } = await late.dispatch(2);
    const told = JSON.parse(String(headers["x-last-checkpoint"]));
    has(told.messages, [{ name: "order.rejected", payload: { reason: "amount" } }], "what the run was resumed with");
  }),

  check("GR-07", async (world) => {
    const run = await world.run();
    let token = run.token;

    for (let n = 1; n <= 3; n++) {
      has((await receive(run, {}, token)).body, { status: "waiting" }, `receive ${n}`);
      await message(world, run, "chat", n);
      const dispatch = await run.dispatch(n + 1);
      token = dispatch.runToken;
      const told = JSON.parse(String(dispatch.headers["x-last-checkpoint"]));
      same(payloadsOf({ status: 200, headers: new Headers(), body: told }), [n], `what dispatch ${n + 1} was told`);
    }
  }),

  check("GR-08", async (world) => {
    const [answered, silent] = [await world.run(), await world.run()];
    await receive(answered, { timeout_secs: 5, on_timeout: "resume" });
    await receive(silent, { timeout_secs: 1, on_timeout: "resume" });

    await message(world, answered, "chat", "in time");

    same((await answered.dispatch(2)).headers["x-resume-reason"], "event", "the reason where a message came");
    same((await silent.dispatch(2)).headers["x-resume-reason"], "timeout", "the reason where none came");
    same((await answered.read()).dispatch_seq, 2, "the dispatches of the run that was answered");
  }),

  check("GR-09", async (world) => {
    const run = await world.run();

    const sent = await message(world, run, "order.rejected", { order: 7 });

    has(sent.body, { run_id: run.id, name: "order.rejected", payload: { order: 7 }, sequence: 1 }, "the message");
    that(/^apikey:key_/.test(sent.body.sent_by), `sent_by is ${sent.body.sent_by}`);
    has((await receive(run)).body.messages, [{ name: "order.rejected", payload: { order: 7 } }], "what was received");
  }),
];
