import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { historyOf, startQuiet } from "./given.ts";
import type { TestServer } from "./server.ts";
import { hold, type Stage, type StagedRun, send, startStage, waitForEvent } from "./stage.ts";
import { recordStatements } from "./statements.ts";

/** Says of a run that a wait of its has ended, as only the statement that ends it may. */
async function claimEnded(strait: TestServer, runId: string, triggerIds: readonly string[]): Promise<void> {
  await strait.db.query(sql`
    INSERT INTO run_wakes (project_id, run_id, trigger_id)
    SELECT ${strait.projectId}, ${runId}, id FROM unnest(${triggerIds}::text[]) AS id`);
}

/** A run that has received `{ first: true }` on a first key, and now waits on a second one. */
async function onItsSecondWait(strait: TestServer): Promise<{ stage: Stage; run: StagedRun; ended: string }> {
  const stage = await startStage(strait);
  const run = await stage.parked("first");
  await send(strait, "first", { first: true });
  const { runToken } = await run.dispatch(2);
  expect((await waitForEvent(strait, { id: run.id, token: runToken }, "second")).body.status).toBe("waiting");
  return { stage, run, ended: run.trigger.id };
}

const checkpointOf = async (run: StagedRun, n: number) =>
  JSON.parse(String((await run.dispatch(n)).headers["x-last-checkpoint"]));

const rowsLeft = (strait: TestServer) => strait.db.query(sql`SELECT trigger_id FROM run_wakes`);

describe("a wake row that is not true", () => {
  test("X1 K3 resumes no run by an earlier wait of it: the run goes on once, with the event that it waits for", async () => {
    const strait = await startQuiet();
    const { run, ended } = await onItsSecondWait(strait);
    await claimEnded(strait, run.id, [ended, ended]);

    await strait.tick("wake-owners");
    const after = (await run.read()).status;
    await send(strait, "second", { second: true });

    expect(after).toBe("waiting");
    expect(await checkpointOf(run, 3)).toEqual({ second: true });
    expect((await historyOf(strait, run.id)).filter((status) => status === "waiting")).toHaveLength(2);
    expect(await rowsLeft(strait)).toEqual([]);
  });

  test("X1 K3 beside a true one says nothing: the run is told how its own wait ended", async () => {
    const strait = await startQuiet();
    const { stage, run, ended } = await onItsSecondWait(strait);
    const other = await stage.parked("other");
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR UPDATE`);
    await send(strait, "second", { second: true });
    await send(strait, "other", { other: true });
    await claimEnded(strait, run.id, [ended, other.trigger.id]);
    const rows = await rowsLeft(strait);
    await lock.release();

    await strait.tick("wake-owners");
    await strait.tick("dispatch-runs");

    expect(rows).toHaveLength(3);
    expect(await checkpointOf(run, 3)).toEqual({ second: true });
    expect(await rowsLeft(strait)).toEqual([]);
  });

  test("X1 K3 of another run's wait, of a member of a group, or of nothing resumes nothing", async () => {
    const strait = await startQuiet();
    const stage = await startStage(strait);
    const [other, waiting, grouped] = [await stage.parked("other"), await stage.parked("own"), await stage.run()];
    await send(strait, "other", 1);
    await other.dispatch(2);
    const { body: group } = await strait.request("POST", `/sdk/v1/runs/${grouped.id}/wait-for-events`, {
      token: grouped.token,
      body: { mode: "all", waits: [{ event_key: "a" }, { event_key: "b" }] },
    });
    await send(strait, "a", 1);
    await claimEnded(strait, waiting.id, [other.trigger.id, waiting.trigger.id, "trg_nothing"]);
    await claimEnded(strait, grouped.id, [group.waits[0].id]);

    await strait.tick("wake-owners");

    expect([(await waiting.read()).status, (await grouped.read()).status]).toEqual(["waiting", "waiting"]);
    expect(await rowsLeft(strait)).toEqual([]);
  });

  test("K3 is told from a true one without a statement of its own", async () => {
    const strait = await startQuiet();
    const run = await (await startStage(strait)).parked("k");
    const lock = await hold(strait, sql`SELECT FROM runs WHERE id = ${run.id} FOR UPDATE`);
    await send(strait, "k", 1);
    await lock.release();
    const recorded = recordStatements();

    await strait.tick("wake-owners");

    const ofRun = recorded.map(({ text }) => text).filter((text) => text.includes("run_wakes"));
    expect(ofRun.filter((text) => text.includes("DELETE"))).toEqual([expect.stringContaining("FROM event_triggers")]);
    expect((await run.read()).status).toBe("queued");
  });
});
