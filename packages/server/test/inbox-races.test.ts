import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { inboxOf, receive, sendMessage } from "./inbox-stage.ts";
import { eventually } from "./server.ts";
import { type StagedRun, startStage } from "./stage.ts";
import { deadlocks, startTwo } from "./two-servers.ts";

const ROUNDS = 30;

async function startRuns(count: number) {
  const { a, b } = await startTwo();
  const stage = await startStage(a);
  const runs: StagedRun[] = await Promise.all(Array.from({ length: count }, () => stage.run()));
  return { a, b, runs };
}

const payloadOf = (dispatch: { headers: Record<string, unknown> }) =>
  JSON.parse(String(dispatch.headers["x-last-checkpoint"])).messages[0].payload;

describe("messages that are sent at once", () => {
  test("O1 O2 have an order of their own, which is that of each sender, by two processes", async () => {
    const { a, b, runs } = await startRuns(1);
    const id = runs[0]?.id ?? "";

    await Promise.all(
      [a, b, a, b].map(async (server, sender) => {
        for (let n = 0; n < 10; n++) await sendMessage(server, id, `from-${sender}`, n);
      }),
    );

    const messages = await inboxOf(a, id);
    expect(messages.map(({ sequence }) => sequence)).toEqual(messages.map((_, index) => index + 1));
    for (let sender = 0; sender < 4; sender++) {
      const own = messages.filter(({ name }) => name === `from-${sender}`);
      expect(own.map(({ payload }) => payload)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("O1 follow each other by commits, whatever the clock says", async () => {
    const { a, runs } = await startRuns(1);
    const id = runs[0]?.id ?? "";
    await sendMessage(a, id, "chat", "first");
    await advanceClock(a.db, -3_600_000);

    await sendMessage(a, id, "chat", "second");

    const messages = await inboxOf(a, id);
    expect(messages.map(({ payload, sequence }) => [payload, sequence])).toEqual([
      ["first", 1],
      ["second", 2],
    ]);
  });

  test("S6 with one Idempotency-Key are one message, by two processes", async () => {
    const { a, b, runs } = await startRuns(1);
    const id = runs[0]?.id ?? "";

    const answers = await Promise.all(
      Array.from({ length: 12 }, (_, n) => sendMessage(n % 2 === 0 ? a : b, id, "chat", 1, { "idempotency-key": "k" })),
    );

    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect(await inboxOf(a, id)).toHaveLength(1);
  });

  test("GR-03 are handed out once each to a run that takes them meanwhile", async () => {
    const { a, b, runs } = await startRuns(1);
    const [run] = runs as [StagedRun];
    const taken: unknown[] = [];

    await Promise.all([
      ...Array.from({ length: 20 }, (_, n) => sendMessage(n % 2 === 0 ? a : b, run.id, "chat", n)),
      ...Array.from({ length: 6 }, async (_, n) => {
        const { body } = await receive(n % 2 === 0 ? b : a, run, { max: 2 });
        if (body.status === "received")
          taken.push(...body.messages.map(({ payload }: { payload: unknown }) => payload));
      }),
    ]);

    const messages = await inboxOf(a, run.id);
    const woken = messages.filter(({ disposition }) => disposition === "delivered");
    const received = messages.filter(({ received_at }) => received_at !== null).map(({ payload }) => payload);
    expect([...taken, ...woken.map(({ payload }) => payload)].toSorted()).toEqual(received.toSorted());
    expect(woken.length).toBeLessThanOrEqual(1);
    expect(new Set(received).size).toBe(received.length);
  });
});

describe("a message against what its run does", () => {
  test("GR-02 GR-03 a run that begins to wait gets it in every schedule: it never waits with the message beside it", async () => {
    const { a, b, runs } = await startRuns(ROUNDS);

    await Promise.all(
      runs.flatMap((run, round) => {
        const wait = () => receive(a, run);
        const deliver = () => sendMessage(b, run.id, "chat", round);
        return round % 2 === 0 ? [wait(), deliver()] : [deliver(), wait()];
      }),
    );

    for (const [round, run] of runs.entries()) {
      expect(await inboxOf(a, run.id, "?unread=true")).toEqual([]);
      await run.is("executing");
      const { checkpoint } = await run.read();
      expect(checkpoint.messages).toMatchObject([{ payload: round }]);
    }
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R1 R6 R7 a run that is canceled takes it or leaves it, and nobody deadlocks", async () => {
    const { a, b, runs } = await startRuns(ROUNDS);
    await Promise.all(runs.map((run) => receive(a, run)));

    const answers = await Promise.all(
      runs.map((run, round) => {
        const cancel = () => b.request("DELETE", `/v1/runs/${run.id}`);
        const deliver = () => sendMessage(a, run.id, "chat", 1);
        return Promise.all(round % 2 === 0 ? [deliver(), cancel()] : [cancel(), deliver()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      runs.map(async (run, round) => {
        const [sent, canceled] = await Promise.all(answers[round] ?? []);
        const [message] = await inboxOf(a, run.id);
        const [wait] = await a.db.query<{ status: string }>(
          sql`SELECT status FROM event_triggers WHERE job_run_id = ${run.id}`,
        );
        return `${sent?.status} ${message?.disposition} ${wait?.status}, cancel ${canceled?.status} ${(await run.read()).status}`;
      }),
    );
    const allowed = [
      "200 delivered received, cancel 200 canceled",
      "202 buffered canceled, cancel 200 canceled",
      "409 late canceled, cancel 200 canceled",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R1 R2 GR-08 a deadline: the message wakes the run or stays for its next receive, and one of the two is told", async () => {
    const { a, b, runs } = await startRuns(ROUNDS);
    await Promise.all(runs.map((run) => receive(a, run, { timeout_secs: 600, on_timeout: "resume" })));

    const first = runs.slice(0, 10).map((run) => sendMessage(a, run.id, "chat", 1));
    const passing = advanceClock(a.db, 600_000);
    const second = runs.slice(10, 20).map((run) => sendMessage(b, run.id, "chat", 1));
    const sweeping = [a, b].map((server) => server.tick("settle-due-waits"));
    await passing;
    const third = runs.slice(20).map((run) => sendMessage(a, run.id, "chat", 1));
    await Promise.all(sweeping);
    const answers = await Promise.all([...first, ...second, ...third]);

    const outcomes = await Promise.all(
      runs.map(async (run, round) => {
        const dispatch = await run.dispatch(2);
        const reason = dispatch.headers["x-resume-reason"];
        const unread = await inboxOf(a, run.id, "?unread=true");
        return `${answers[round]?.status} ${reason}, ${unread.length} unread`;
      }),
    );
    const allowed = ["200 event, 0 unread", "202 timeout, 1 unread"];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(outcomes.slice(20)).toEqual(runs.slice(20).map(() => allowed[1]));
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("X1 twenty senders wake it once, and nineteen messages are left in order", async () => {
    const { a, b, runs } = await startRuns(1);
    const [run] = runs as [StagedRun];
    await receive(a, run);

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => sendMessage(n % 2 === 0 ? a : b, run.id, "chat", n)),
    );

    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const second = await run.dispatch(2);
    const winner = answers.findIndex(({ status }) => status === 200);
    expect(payloadOf(second)).toBe(winner);
    const rest = await receive(a, { id: run.id, token: second.runToken }, { max: 100 });
    expect(rest.body.messages).toHaveLength(19);
    const sequences = rest.body.messages.map(({ sequence }: { sequence: number }) => sequence);
    expect(sequences).toEqual(sequences.toSorted((x: number, y: number) => x - y));
    await eventually(async () => (await run.read()).dispatch_seq === 2);
    expect(await deadlocks(a, b)).toBe(0);
  });
});
