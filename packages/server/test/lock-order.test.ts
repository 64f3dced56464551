import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { blockedSessions } from "./given.ts";
import { eventually, startServer } from "./server.ts";
import { hold, send, startStage } from "./stage.ts";
import { deadlocks, startTwo } from "./two-servers.ts";
import { startWorkflowRun, startWorkflowStage } from "./workflow-stage.ts";

const ROUNDS = 25;
const rounds = Array.from({ length: ROUNDS }, (_, round) => round);

/** A step that waits for one of the keys of a round. */
const waitOn = (name: string, options: object = {}) => ({
  step_ref: name,
  type: "wait_for_event",
  event_key: `{{payload.round}}:${name}`,
  ...options,
});

describe("steps that wait on several keys", () => {
  test("K1 B2 take events one after another in opposite orders, and nobody deadlocks", async () => {
    const { a, b } = await startTwo();
    await startWorkflowStage(a, [waitOn("x"), waitOn("y", { depends_on: ["x"] })], { slug: "forth" });
    await startWorkflowStage(a, [waitOn("y"), waitOn("x", { depends_on: ["y"] })], { slug: "back" });
    for (const key of ["x", "y"]) {
      await Promise.all(rounds.map((round) => send(a, `${round}:${key}`, 1)));
      await Promise.all(rounds.map((round) => send(a, `${round}:${key}`, 2)));
    }

    const runs = await Promise.all(
      rounds.flatMap((round) => [startWorkflowRun(a, "forth", { round }), startWorkflowRun(b, "back", { round })]),
    );

    for (const run of runs) await run.is("completed");
    expect(await deadlocks(a, b)).toBe(0);
  });

  test("K1 R8 hold no wait, nor its group, while they wait for the row of a key", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const { id, token } = await stage.run();
    const body = { mode: "all", waits: ["1:x", "1:y"].map((event_key) => ({ event_key })) };
    const group = await strait.request("POST", `/sdk/v1/runs/${id}/wait-for-events`, { token, body });
    await startWorkflowStage(strait, [waitOn("x"), waitOn("y")]);
    const sender = await hold(strait, sql`SELECT 1 FROM event_keys WHERE event_key = '1:y' FOR UPDATE`);

    const starting = startWorkflowRun(strait, "staged", { round: 1 });
    await eventually(async () => (await blockedSessions(strait)) === 1);
    const lock = sql`SELECT status FROM event_triggers WHERE id = ${group.body.trigger_id} FOR NO KEY UPDATE NOWAIT`;
    const locked = await sender.query(lock);
    await sender.release();

    expect(locked).toEqual([{ status: "waiting" }]);
    await (await starting).is("failed");
  });
});

describe("waits that share a key", () => {
  test("K1 U2 are replaced from the first to the last: who waits for the first holds none behind it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k", { timeout_secs: null });
    const last = await stage.parked("k", { timeout_secs: null, on_conflict: "join" });
    const third = await stage.run();
    const holder = await hold(strait, sql`SELECT 1 FROM event_triggers WHERE id = ${first.trigger.id} FOR UPDATE`);

    const replacing = third.wait("k", { on_conflict: "replace" });
    await eventually(async () => (await blockedSessions(strait)) === 1);
    const behind = await holder.query(
      sql`SELECT status FROM event_triggers WHERE id = ${last.trigger.id} FOR NO KEY UPDATE NOWAIT`,
    );
    await holder.release();

    expect(behind).toEqual([{ status: "waiting" }]);
    expect((await replacing).body).toMatchObject({ status: "waiting", generation: 2 });
  });

  test("U2 name the one that opened first to a wait that may not join them", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const first = await stage.parked("k", { timeout_secs: null });
    await stage.parked("k", { timeout_secs: null, on_conflict: "join" });

    const refused = await (await stage.run()).wait("k");

    expect(refused.body.error).toMatchObject({ code: "key_in_use", details: { trigger_id: first.trigger.id } });
  });
});
