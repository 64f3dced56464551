import type { Answer } from "../api.ts";
import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";
import { sleep } from "../patience.ts";
import type { Run } from "../world.ts";

const ROUNDS = 10;
const rounds = (name: (suffix: string) => string) => Array.from({ length: ROUNDS }, (_, n) => name(`key-${n}`));
const summary = ({ status, body }: Answer) => `${status} ${body.disposition ?? body.error?.code ?? body.status}`;

/** Lets a send and something else meet in both orders, and returns what each pair was answered. */
function race(keys: readonly string[], send: (n: number) => Promise<Answer>, other: (n: number) => Promise<Answer>) {
  return Promise.all(
    keys.map(async (_, n) => {
      if (n % 2 === 0) return Promise.all([send(n), other(n)]);
      const [second, first] = await Promise.all([other(n), send(n)]);
      return [first, second] as const;
    }),
  );
}

export const races = [
  check("R1", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);

    const answers = await Promise.all(Array.from({ length: 12 }, (_, choice) => world.send(key, { choice })));

    const winners = answers.filter(({ status }) => status === 200);
    same(winners.length, 1, "the number of sends that were delivered");
    const losers = answers.filter(({ body }) => body.error?.code === "already_resolved");
    same(losers.length, answers.length - 1, "the number of sends that were told who won");
    const payload = winners[0]?.body.response_payload;
    const resumed = await run.dispatch(2);
    same(JSON.parse(String(resumed.headers["x-last-checkpoint"])), payload, "what the run was resumed with");
    await sleep(500);
    has(await run.read(), { dispatch_seq: 2, checkpoint: payload }, "the run, after one resume");
  }),

  check("R2", async (world) => {
    const keys = rounds(world.name);
    const runs = await Promise.all(keys.map((key) => world.parked(key, { timeout_secs: 1 })));

    const answers = await Promise.all(
      keys.map(async (key, n) => {
        const { requested_at, expires_at } = runs[n]?.trigger ?? {};
        // Around the deadline, on the server's clock: it has answered the wait at its requested_at, or a little later.
        await sleep(Date.parse(expires_at) - Date.parse(requested_at) + (n - ROUNDS / 2) * 20 - 150);
        return world.send(key, n);
      }),
    );
    const late = await Promise.all(keys.map((key) => sleep(300).then(() => world.send(key, "late"))));

    for (const [n, key] of keys.entries()) {
      const { body } = await world.event(key);
      const isReceived = body.status === "received";
      same(answers[n]?.status, isReceived ? 200 : 409, `the status of a send to a wait that is ${body.status}`);
      if (isReceived) that(body.received_at < body.expires_at, `received at ${body.received_at}, too late`);
      else has(answers[n]?.body, { error: { code: "wait_closed", details: { status: "timed_out" } } }, "the refusal");
      that(late[n]?.status === 409, `a send after the deadline is ${late[n]?.status}`);
      await runs[n]?.is(isReceived ? "executing" : "timed_out");
    }
  }),

  check("R3", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key, { timeout_secs: 3 });
    await world.send(key, "in time");
    const { runToken } = await run.dispatch(2);
    const again = await run.wait(key, { timeout_secs: 60 }, runToken);

    await sleep(3_500);

    same(again.body.generation, 2, "the generation of the second wait");
    has((await world.event(key)).body, { status: "waiting", generation: 2 }, "it after the first one's deadline");
    same((await run.read()).status, "waiting", "the status of the run");
  }),

  check("R4", async (world) => {
    const [longer, shorter, ended] = [world.name("longer"), world.name("shorter"), world.name("ended")];
    const passed = world.name("passed");
    const extend = (key: string, body: object) =>
      world.request("POST", `/v1/events/${encodeURIComponent(key)}/extend`, { body });
    const timing = await world.parked(shorter);
    const over = await world.parked(passed);
    await world.parked(ended);
    await world.send(ended, 1);
    const { version } = (await world.parked(longer, { timeout_secs: 3 })).trigger;

    const extended = await extend(longer, { timeout_secs: 600, version });
    const stale = await extend(longer, { timeout_secs: 5, version });
    const shortened = await extend(shorter, { timeout_secs: 1 });
    const overdue = await extend(passed, { deadline: "2020-01-01T00:00:00Z" });
    const late = await extend(ended, { timeout_secs: 600 });
    await sleep(3_500);

    same([extended.status, shortened.status, overdue.status], [200, 200, 200], "the statuses of three new deadlines");
    has(overdue.body, { version: 2, expires_at: "2020-01-01T00:00:00.000000Z" }, "a deadline that has passed");
    has(stale, { status: 409, body: { error: { code: "expectation_failed" } } }, "a change of an older version");
    has(late, { status: 409, body: { error: { code: "wait_closed" } } }, "a change of a wait that has ended");
    has(
      (await world.event(longer)).body,
      { status: "waiting", expires_at: extended.body.expires_at },
      "the longer wait",
    );
    await timing.is("timed_out");
    await over.is("timed_out");
  }),

  check("R5", async (world) => {
    const [failing, resuming] = [world.name("fail"), world.name("resume")];
    const ended = await world.parked(failing);
    const resumed = await world.parked(resuming, { on_cancel: "resume" });

    const canceled = await world.cancel(failing, "the customer withdrew");
    await world.cancel(resuming, "the customer withdrew");

    has(canceled, { status: 200, body: { status: "canceled", response_payload: null } }, "the answer");
    has(canceled.body.cancellation, { kind: "canceled", reason: "the customer withdrew" }, "its cancellation");
    that(/^apikey:key_/.test(canceled.body.cancellation.actor), `its actor is ${canceled.body.cancellation.actor}`);
    const run = await ended.is("canceled");
    that(String(run.error).includes("the customer withdrew"), `the run's error is ${run.error}`);
    same((await resumed.dispatch(2)).headers["x-resume-reason"], "canceled", "the reason of the resume");
    has(
      await world.cancel(failing),
      { status: 409, body: { error: { code: "wait_closed" } } },
      "a second cancellation",
    );
  }),

  check("R6", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key, { on_cancel: "resume" });

    const canceled = await world.request("DELETE", `/v1/runs/${run.id}`);
    const wait = await world.event(key);
    const late = await world.send(key, 1);
    const next = await world.parked(key);

    same(canceled.status, 200, "the status of canceling the run");
    same(wait.body.status, "canceled", "the status of its wait");
    same(summary(late), "409 wait_closed", "a send to it");
    same(next.trigger.generation, 2, "the generation of the next wait");
    has(await run.read(), { status: "canceled", dispatch_seq: 1 }, "the run");
  }),

  check("R7", async (world) => {
    const keys = rounds(world.name);
    const runs = await Promise.all(keys.map((key) => world.parked(key, { timeout_secs: 60 })));

    const answers = await race(
      keys,
      (n) => world.send(keys[n] ?? "", n),
      (n) => world.request("DELETE", `/v1/runs/${runs[n]?.id}`),
    );

    for (const [n, [sent, canceled]] of answers.entries()) {
      const wait = (await world.event(keys[n] ?? "")).body.status;
      const outcome = `${summary(sent)}, run ${canceled.status}, wait ${wait}`;
      const allowed = ["200 delivered, run 200, wait received", "409 wait_closed, run 200, wait canceled"];
      that(allowed.includes(outcome), `a send against the cancellation of its run: ${outcome}`);
      await runs[n]?.is("canceled");
    }
  }),

  check("R8", async (world) => {
    const keys = [world.name("a"), world.name("b"), world.name("c")];
    const waits = keys.map((event_key) => ({ event_key }));
    const ask = (run: Run, body: object) => run.report("POST", "wait-for-events", { body });
    const run = await world.run();
    same((await ask(run, { mode: "any", waits })).status, 200, "the status of a race of three");

    const answers = await Promise.all(keys.map((key) => world.send(key, key)));

    const winner = answers.findIndex(({ status }) => status === 200);
    const codes = answers.map(({ body }) => body.disposition ?? body.error.code).sort();
    same(codes, ["delivered", "wait_closed", "wait_closed"], "what three sends at once got");
    for (const [n, key] of keys.entries()) {
      same((await world.event(key)).body.status, n === winner ? "received" : "canceled", "the status of a wait");
    }
    const resumed = await run.dispatch(2);
    const told = JSON.parse(String(resumed.headers["x-last-checkpoint"]));
    has(told, { mode: "any", winner: keys[winner] }, "what the run is told");
    const next = await run.wait(keys[(winner + 1) % 3] ?? "", {}, resumed.runToken);
    has(next.body, { status: "waiting", generation: 2 }, "a later wait on the key of a loser");
  }),

  check("R9", async (world) => {
    const keys = rounds(world.name);
    const runs = await Promise.all(keys.map((key) => world.parked(key)));

    const answers = await race(
      keys,
      (n) => world.send(keys[n] ?? "", n),
      (n) => world.cancel(keys[n] ?? ""),
    );

    for (const [n, [sent, canceled]] of answers.entries()) {
      const { status } = (await world.event(keys[n] ?? "")).body;
      const outcome = `${status}: ${summary(sent)}, ${summary(canceled)}`;
      const allowed = ["received: 200 delivered, 409 wait_closed", "canceled: 409 wait_closed, 200 canceled"];
      that(allowed.includes(outcome), `a send against a cancellation: ${outcome}`);
      await runs[n]?.is(status === "received" ? "executing" : "canceled");
    }
  }),
];
