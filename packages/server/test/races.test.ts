import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { type Answer, eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, type StagedRun, send, startStage } from "./stage.ts";
import { deadlocks, startTwo } from "./two-servers.ts";

const summary = ({ status, body }: Answer): string =>
  `${status} ${body.disposition ?? body.error?.code ?? body.status}`;

async function stageOf(strait: TestServer, count: number) {
  const stage = await startStage(strait);
  const runs: StagedRun[] = await Promise.all(Array.from({ length: count }, () => stage.run()));
  return { stage, runs };
}

/** How the trigger, its run and the events of a key stand, straight from the rows. */
async function stateOf(strait: TestServer, key: string) {
  const triggers = await strait.db.query<{ status: string; run: string }>(sql`
    SELECT t.status, r.status AS run FROM event_triggers t JOIN runs r ON r.id = t.job_run_id
    WHERE t.event_key = ${key} ORDER BY t.generation`);
  const events = await strait.db.query<{ disposition: string }>(sql`
    SELECT disposition FROM sends WHERE event_key = ${key} ORDER BY id`);
  return { triggers, events: events.map(({ disposition }) => disposition) };
}

const rounds = (count: number) => Array.from({ length: count }, (_, round) => `round-${round}`);

describe("two sends at once", () => {
  test("R1 R9 have one winner of twenty when they differ, by two processes", async () => {
    const { a, b } = await startTwo();
    const stage = await startStage(a);
    const run = await stage.parked("decision");

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => send(n % 2 === 0 ? a : b, "decision", { choice: n })),
    );

    expect(answers.map(summary).sort()).toEqual([
      "200 delivered",
      ...Array.from({ length: 19 }, () => "409 already_resolved"),
    ]);
    const winner = answers.findIndex(({ status }) => status === 200);
    expect(JSON.parse(String((await run.dispatch(2)).headers["x-last-checkpoint"]))).toEqual({ choice: winner });
    expect((await stateOf(a, "decision")).events.filter((disposition) => disposition === "delivered")).toHaveLength(1);
    expect(stage.executor.dispatches).toHaveLength(2);
  });

  test("S1 are all 200 when they are equal, and one of them delivers", async () => {
    const { a, b } = await startTwo();
    const stage = await startStage(a);
    await stage.parked("decision");

    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) => send(n % 2 === 0 ? a : b, "decision", { approved: true })),
    );

    expect(answers.map(summary).sort()).toEqual([
      "200 delivered",
      ...Array.from({ length: 19 }, () => "200 duplicate"),
    ]);
  });

  test("S2 with one Idempotency-Key have one effect, by two processes", async () => {
    const { a, b } = await startTwo();
    const keyed = { "idempotency-key": "once" };

    const answers = await Promise.all(
      Array.from({ length: 16 }, (_, n) => send(n % 2 === 0 ? a : b, "nobody", 1, {}, keyed)),
    );

    expect(new Set(answers.map(({ status, body }) => `${status} ${body.id}`)).size).toBe(1);
    expect((await stateOf(a, "nobody")).events).toEqual(["buffered"]);
  });
});

describe("a wait that opens while its event is sent", () => {
  test("B6 K4 receives it in every schedule: it never waits with a buffered event beside it", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(40);
    const { runs } = await stageOf(a, keys.length);

    const answers = await Promise.all(
      keys.flatMap((key, round) => {
        const open = () => runs[round]?.wait(key);
        const deliver = () => send(b, key, round);
        return round % 2 === 0 ? [open(), deliver()] : [deliver(), open()];
      }),
    );

    expect(answers.map((answer) => answer?.status).filter((status) => status !== 200 && status !== 202)).toEqual([]);
    for (const key of keys) {
      const { triggers, events } = await stateOf(a, key);
      expect(triggers).toEqual([{ status: "received", run: "executing" }]);
      expect(events).toEqual(["delivered"]);
    }
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("U1 has one winner among waits that open at once", async () => {
    const { a, b } = await startTwo();
    const { runs } = await stageOf(a, 10);

    const answers = await Promise.all(
      runs.map((run, n) =>
        (n % 2 === 0 ? a : b).request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, {
          token: run.token,
          body: { event_key: "one" },
        }),
      ),
    );

    expect(answers.map(summary).sort()).toEqual(["200 waiting", ...Array.from({ length: 9 }, () => "409 key_in_use")]);
  });
});

describe("waits that share a key", () => {
  test("U2 K4 one that joins while the answer is sent reads it, or waits for the next: none is left out", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(30);
    const { runs } = await stageOf(a, 2 * keys.length);
    const first = runs.slice(0, keys.length);
    const second = runs.slice(keys.length);
    await Promise.all(keys.map((key, round) => first[round]?.wait(key)));

    const answers = await Promise.all(
      keys.map((key, round) => {
        const join = () => second[round]?.wait(key, { on_conflict: "join" });
        const deliver = () => send(b, key, round);
        return Promise.all(round % 2 === 0 ? [join(), deliver()] : [deliver(), join()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const [joined, sent] = answers[round] as [Answer, Answer];
        const { triggers } = await stateOf(a, key);
        const statuses = triggers.map(({ status }) => status).join(" ");
        return `generation ${joined.body.generation}: ${statuses}, send ${summary(sent)}`;
      }),
    );
    const allowed = [
      "generation 1: received received, send 200 delivered",
      "generation 2: received waiting, send 200 delivered",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("U2 of many that replace each other at once one waits in the end, and every other run is told", async () => {
    const { a, b } = await startTwo();
    const { runs } = await stageOf(a, 16);

    const answers = await Promise.all(
      runs.map((run, n) =>
        (n % 2 === 0 ? a : b).request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, {
          token: run.token,
          body: { event_key: "one", on_conflict: "replace" },
        }),
      ),
    );

    expect(answers.map(summary)).toEqual(runs.map(() => "200 waiting"));
    await eventually(async () => {
      const statuses = await Promise.all(runs.map(async (run) => (await run.read()).status));
      return statuses.filter((status) => status === "canceled").length === runs.length - 1;
    });
    const { triggers } = await stateOf(a, "one");
    expect(triggers.map(({ status }) => status)).toEqual([...Array(15).fill("superseded"), "waiting"]);
    expect(await deadlocks(a, b)).toBe(0);
  });
});

describe("a send against the end of its wait", () => {
  test("K1 K2 and a cancellation of the wait: one of them, and the other is told", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(30);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key)));

    const answers = await Promise.all(
      keys.map((key, round) => {
        const cancel = () => (round % 3 === 0 ? a : b).request("DELETE", `/v1/events/${key}`);
        const deliver = () => send(a, key, round);
        return Promise.all(round % 2 === 0 ? [deliver(), cancel()] : [cancel(), deliver()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const [sent, canceled] = answers[round] as [Answer, Answer];
        const status = (await eventOf(a, key)).body.status;
        await runs[round]?.is(status === "received" ? "executing" : "canceled");
        return `${status}: send ${summary(sent)}, cancel ${summary(canceled)}`;
      }),
    );
    const allowed = [
      "received: send 200 delivered, cancel 409 wait_closed",
      "canceled: send 409 wait_closed, cancel 200 canceled",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("K1 K2 R6 R7 and a cancellation of the run: the run is canceled, its wait ends once, and nobody deadlocks", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(40);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key)));

    const answers = await Promise.all(
      keys.map((key, round) => {
        const cancel = () => b.request("DELETE", `/v1/runs/${runs[round]?.id}`);
        const deliver = () => send(a, key, round);
        return Promise.all(round % 2 === 0 ? [deliver(), cancel()] : [cancel(), deliver()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const [sent, canceled] = answers[round] as [Answer, Answer];
        const { triggers } = await stateOf(a, key);
        return `${triggers[0]?.status}: send ${summary(sent)}, run ${triggers[0]?.run}, cancel ${canceled.status}`;
      }),
    );
    const allowed = [
      "received: send 200 delivered, run canceled, cancel 200",
      "canceled: send 409 wait_closed, run canceled, cancel 200",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R1 R2 R9 and its deadline: received or timed out, never both, with two sweepers", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(30);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key, { timeout_secs: 600, on_timeout: "resume" })));

    const first = keys.slice(0, 10).map((key) => send(a, key, 1));
    const passing = advanceClock(a.db, 600_000);
    const second = keys.slice(10, 20).map((key) => send(b, key, 1));
    const sweeping = [a, b].map((server) => server.tick("settle-due-waits"));
    await passing;
    const third = keys.slice(20).map((key) => send(a, key, 1));
    await Promise.all(sweeping);
    const answers = await Promise.all([...first, ...second, ...third]);

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const reason = (await runs[round]?.dispatch(2))?.headers["x-resume-reason"];
        const { triggers, events } = await stateOf(a, key);
        return `${triggers[0]?.status}: send ${summary(answers[round] as Answer)}, ${events}, ${reason}`;
      }),
    );
    const allowed = [
      "received: send 200 delivered, delivered, event",
      "timed_out: send 409 wait_closed, late, timeout",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(outcomes.slice(20)).toEqual(keys.slice(20).map(() => allowed[1]));
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R1 S5 and a rejection: one of them, and the other is told", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(30);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key)));

    const answers = await Promise.all(
      keys.map((key, round) => {
        const reject = () => b.request("POST", `/v1/events/${key}/reject`, { body: { reason: "no" } });
        const deliver = () => send(a, key, round);
        return Promise.all(round % 2 === 0 ? [deliver(), reject()] : [reject(), deliver()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const [sent, rejected] = answers[round] as [Answer, Answer];
        const { status } = (await eventOf(a, key)).body;
        await runs[round]?.is(status === "received" ? "executing" : "failed");
        return `${status}: send ${summary(sent)}, reject ${summary(rejected)}`;
      }),
    );
    const allowed = [
      "received: send 200 delivered, reject 409 already_resolved",
      "canceled: send 409 wait_closed, reject 200 delivered",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("R2 exactly at its deadline comes too late, sweeper or not", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(20);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key, { timeout_secs: 600 })));
    await advanceClock(a.db, 600_000);

    const answers = await Promise.all(
      keys.flatMap((key) => [send(a, key, 1), b.tick("settle-due-waits"), a.tick("settle-due-waits")]),
    );

    const sent = answers.filter((answer) => answer !== undefined).map(summary);
    expect(sent).toEqual(keys.map(() => "409 wait_closed"));
    for (const [round, key] of keys.entries()) {
      expect((await stateOf(a, key)).events).toEqual(["late"]);
      await runs[round]?.is("timed_out");
    }
  });

  test("R1 and everything at once end each wait once: one final change of every trigger, one of its run", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(24);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key, { timeout_secs: 600 })));

    await Promise.all([
      ...keys.map((key, round) => send(round % 2 === 0 ? a : b, key, round)),
      ...keys.map((key) => b.request("DELETE", `/v1/events/${key}`)),
      ...keys.map((key, round) => send(round % 2 === 0 ? b : a, key, -round - 1)),
      ...runs.map((run) => a.request("DELETE", `/v1/runs/${run.id}`)),
      advanceClock(a.db, 600_000),
      a.tick("settle-due-waits"),
      b.tick("settle-due-waits"),
    ]);
    for (const run of runs) await eventually(async () => /canceled|timed_out/.test((await run.read()).status));

    const ends = await a.db.query<{ kind: string; ends: number }>(sql`
      WITH ended AS (
        SELECT subject_id AS id FROM changes
        WHERE after IN ('received', 'timed_out', 'canceled') AND subject_id ~ '^(trg|run)_'
        UNION ALL SELECT ended_trigger_id FROM changes WHERE ended_trigger_id IS NOT NULL)
      SELECT split_part(id, '_', 1) AS kind, count(*)::int AS ends FROM ended GROUP BY id`);
    expect(ends).toHaveLength(2 * keys.length);
    expect(ends.filter((row) => row.ends !== 1)).toEqual([]);
    expect(await a.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });
});

describe("an extension against its deadline", () => {
  test("R3 R4 is in time and the wait goes on, or it is 409 and the wait has timed out, with two sweepers", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(30);
    const { runs } = await stageOf(a, keys.length);
    await Promise.all(keys.map((key, round) => runs[round]?.wait(key, { timeout_secs: 600 })));
    const extend = (key: string, server: TestServer) =>
      server.request("POST", `/v1/events/${key}/extend`, { body: { timeout_secs: 86_400 } });

    const first = keys.slice(0, 10).map((key) => extend(key, a));
    const passing = advanceClock(a.db, 600_000);
    const second = keys.slice(10, 20).map((key) => extend(key, b));
    const sweeping = [a, b].map((server) => server.tick("settle-due-waits"));
    await passing;
    const third = keys.slice(20).map((key) => extend(key, a));
    const answers = await Promise.all([...first, ...second, ...third]);
    await Promise.all(sweeping);
    await a.tick("settle-due-waits");

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const { status, version } = (await eventOf(a, key)).body;
        await runs[round]?.is(status === "waiting" ? "waiting" : "timed_out");
        return `${status}, version ${version}: ${summary(answers[round] as Answer)}`;
      }),
    );
    const allowed = ["waiting, version 2: 200 waiting", "timed_out, version 1: 409 wait_closed"];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(outcomes.slice(20)).toEqual(keys.slice(20).map(() => allowed[1]));
    expect(await deadlocks(a, b)).toBe(0);
  });
});

describe("a send while somebody holds the run", () => {
  const wakes = (strait: TestServer) => strait.db.query(sql`SELECT trigger_id FROM run_wakes`);

  test("K2 R7 does not wait for it: a wake row stands for the resume, and the run goes on when it is free", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR UPDATE`);

    const sent = await send(strait, "k", { held: true });

    expect(sent.body).toMatchObject({ status: "received", disposition: "delivered" });
    expect((await run.read()).status).toBe("waiting");
    expect(await wakes(strait)).toEqual([{ trigger_id: run.trigger.id }]);
    await lock.release();
    const { headers } = await run.dispatch(2);
    expect(headers["x-resume-reason"]).toBe("event");
    expect(JSON.parse(String(headers["x-last-checkpoint"]))).toEqual({ held: true });
    expect(await wakes(strait)).toEqual([]);
  });

  test("K3 loses no wake-up to a consumer that took its rows before: wake rows are appended, never shared", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.parked("k");
    const consumer = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR NO KEY UPDATE`);
    await strait.db.query(sql`
      INSERT INTO run_wakes (project_id, run_id, trigger_id)
      VALUES (${strait.projectId}, ${run.id}, 'trg_older'), (${strait.projectId}, ${run.id}, 'trg_older')`);
    await consumer.query(sql`DELETE FROM run_wakes WHERE run_id = ${run.id}`);

    const sent = await send(strait, "k", 1);
    await consumer.release();

    expect(sent.status).toBe(200);
    expect((await run.dispatch(2)).headers["x-resume-reason"]).toBe("event");
  });

  test("K2 a deadline and a cancellation do not wait for it either", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const timing = await stage.parked("timing", { timeout_secs: 60 });
    const canceling = await stage.parked("canceling");
    const lock = await hold(strait, sql`SELECT FROM runs FOR UPDATE`);

    const canceled = await strait.request("DELETE", "/v1/events/canceling?reason=obsolete");
    await advanceClock(strait.db, 60_000);
    await eventually(async () => (await eventOf(strait, "timing")).body.status === "timed_out");

    expect(canceled.body.status).toBe("canceled");
    await lock.release();
    await timing.is("timed_out");
    await canceling.is("canceled");
    expect((await canceling.read()).error).toBe(canceled.body.error);
  });
});

describe("steps that end while somebody holds the workflow run", () => {
  test("K2 K3 leave a row each, and the workflow run advances by all of them when it is free", async () => {
    const strait = await startServer();
    const waits = ["left", "right"].map((ref) => ({ step_ref: ref, type: "wait_for_event", event_key: ref }));
    const join = { step_ref: "join", type: "sleep", sleep_duration: "1h", depends_on: ["left", "right"] };
    await strait.request("POST", "/v1/workflows", { body: { name: "Join", slug: "join", steps: [...waits, join] } });
    const { body: run } = await strait.request("POST", "/v1/workflows/join/trigger", { body: {} });
    const consumer = await hold(strait, sql`SELECT FROM workflow_runs WHERE id = ${run.id} FOR NO KEY UPDATE`);

    const first = await send(strait, "left", 1);
    const rows = await strait.db.query(sql`SELECT FROM workflow_advances`);
    await consumer.query(sql`DELETE FROM workflow_advances`);
    const second = await send(strait, "right", 2);
    await consumer.release();

    expect([first.status, second.status, rows.length]).toEqual([200, 200, 1]);
    const steps = await eventually(async () => {
      const { body } = await strait.request("GET", `/v1/workflow-runs/${run.id}/steps`);
      return body.data[2].status === "waiting" && body.data;
    });
    expect(steps.map(({ output }: { output: unknown }) => output)).toEqual([1, 2, null]);
    expect(await strait.db.query(sql`SELECT FROM workflow_advances`)).toEqual([]);
  });

  test("K1 K2 a send against the cancellation of its workflow run has one outcome, and nobody deadlocks", async () => {
    const { a, b } = await startTwo();
    const keys = rounds(20);
    const steps = [
      { step_ref: "wait", type: "wait_for_event", event_key: "{{payload.key}}" },
      { step_ref: "rest", type: "sleep", sleep_duration: "1h", depends_on: ["wait"] },
    ];
    await a.request("POST", "/v1/workflows", { body: { name: "W", slug: "w", steps } });
    const started = await Promise.all(
      keys.map((key) => a.request("POST", "/v1/workflows/w/trigger", { body: { payload: { key } } })),
    );

    const answers = await Promise.all(
      keys.map((key, round) => {
        const cancel = () => b.request("DELETE", `/v1/workflow-runs/${started[round]?.body.id}`);
        const deliver = () => send(a, key, round);
        return Promise.all(round % 2 === 0 ? [deliver(), cancel()] : [cancel(), deliver()].reverse());
      }),
    );

    const outcomes = await Promise.all(
      keys.map(async (key, round) => {
        const [sent, canceled] = answers[round] as [Answer, Answer];
        const { body } = await a.request("GET", `/v1/workflow-runs/${started[round]?.body.id}/steps`);
        const statuses = body.data.map(({ status }: { status: string }) => status);
        const trigger = (await eventOf(a, key)).body.status;
        return `${trigger}: send ${summary(sent)}, cancel ${summary(canceled)}, ${statuses}`;
      }),
    );
    const allowed = [
      "received: send 200 delivered, cancel 200 canceled, completed,canceled",
      "canceled: send 409 wait_closed, cancel 200 canceled, canceled,canceled",
    ];
    expect(outcomes.filter((outcome) => !allowed.includes(outcome))).toEqual([]);
    expect(await a.db.query(sql`SELECT FROM event_triggers WHERE status = 'waiting'`)).toEqual([]);
    expect(await deadlocks(a, b)).toBe(0);
  });
});
