import { readdir, readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { deliveryStatuses, runStatuses, stepStatuses, triggerStatuses, workflowRunStatuses } from "@strait/contract";
import {
  type DeliveryMove,
  deliveryMoves,
  isTerminalRunStatus,
  isTerminalStepStatus,
  isTerminalTriggerStatus,
  isTerminalWorkflowRunStatus,
  type Moves,
  type RunMove,
  runMoves,
  type StepMove,
  stepMoves,
  type TriggerMove,
  triggerMoves,
  type WorkflowRunMove,
  workflowRunMoves,
} from "@strait/core";
import { describe, expect, test } from "vitest";
import type { Database } from "../src/store/database.ts";
import * as deliveries from "../src/store/deliveries.ts";
import * as movesOfRuns from "../src/store/run-moves.ts";
import * as settlements from "../src/store/settlements.ts";
import type { Queryable, Statement } from "../src/store/sql.ts";
import { sql } from "../src/store/sql.ts";
import * as stepRuns from "../src/store/step-runs.ts";
import * as workflowRuns from "../src/store/workflow-runs.ts";
import { givenJob } from "./given.ts";
import { startServer } from "./server.ts";

/** What a test of one table needs: how a row in a status is made, and how the store is asked for a move. */
interface Subject {
  readonly table: string;
  readonly statuses: readonly string[];
  readonly moves: Moves<string>;
  given(place: Place, id: string, status: string): Statement;
  /** Whether the store says that it made the move. */
  ask(place: Place, id: string, move: string): Promise<boolean>;
}

interface Place {
  readonly db: Database;
  readonly projectId: string;
  readonly jobId: string;
  readonly leaseId: number;
}

const stamp = (isSet: boolean): Statement => (isSet ? sql`strait_now()` : sql`NULL`);

const run: Subject = {
  table: "runs",
  statuses: runStatuses,
  moves: runMoves,
  given: ({ projectId, jobId, leaseId }, id, status) => sql`
    INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, payload, triggered_by,
      lease_id, finished_at)
    VALUES (${projectId}, ${id}, 'env', ${jobId}, 1, ${status}, 3, '{}', 'manual', ${leaseId},
      ${stamp(isTerminalRunStatus(status as never))})`,
  async ask({ db, projectId, leaseId }, id, move) {
    const item = { project_id: projectId, id, lease_id: leaseId };
    const [moved] = await movesOfRuns.move(db, move as RunMove, [item], { actor: "test" });
    return moved !== undefined;
  },
};

const trigger = (ask: Subject["ask"]): Subject => ({
  table: "event_triggers",
  statuses: triggerStatuses,
  moves: triggerMoves,
  given: ({ projectId }, id, status) => sql`
    INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type,
      job_run_id, status, received_at, finished_at)
    VALUES (${projectId}, ${id}, 'env', ${id}, 1, 'job_run', 'event', 'run_of_nobody', ${status},
      ${stamp(status === "received")}, ${stamp(isTerminalTriggerStatus(status as never))})`,
  ask,
});

const step: Subject = {
  table: "step_runs",
  statuses: stepStatuses,
  moves: stepMoves,
  given: ({ projectId }, id, status) => sql`
    INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type, status, finished_at)
    VALUES (${projectId}, ${id}, 'wfr', 0, ${id}, 'job', ${status}, ${stamp(isTerminalStepStatus(status as never))})`,
  async ask({ db, projectId }, id, move) {
    return (await stepRuns.move(db, projectId, move as StepMove, [{ id }], "test")).length > 0;
  },
};

const workflowRun: Subject = {
  table: "workflow_runs",
  statuses: workflowRunStatuses,
  moves: workflowRunMoves,
  given: ({ projectId }, id, status) => sql`
    INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, status, payload,
      triggered_by, finished_at)
    VALUES (${projectId}, ${id}, 'env', 'wf', 1, ${status}, '{}', 'manual',
      ${stamp(isTerminalWorkflowRunStatus(status as never))})`,
  ask: ({ db, projectId }, id, move) => workflowRuns.move(db, projectId, id, move as WorkflowRunMove, "test"),
};

const delivery: Subject = {
  table: "webhook_deliveries",
  statuses: deliveryStatuses,
  moves: deliveryMoves,
  given: ({ projectId }, id, status) => sql`
    INSERT INTO webhook_deliveries (project_id, id, event_type, webhook_url, status, payload, next_retry_at, delivered_at)
    VALUES (${projectId}, ${id}, 'trigger.waiting', 'http://127.0.0.1:1/', ${status}, '{}',
      ${stamp(status === "pending")}, ${stamp(status === "delivered")})`,
  async ask({ db, projectId }, id, move) {
    const end = { project_id: projectId, id, claim_seq: null, status_code: null, error: null, actor: "test" };
    return (await deliveries.move(db, move as DeliveryMove, end)) !== undefined;
  },
};

const settle: Subject["ask"] = async ({ db, projectId }, id, move) => {
  const end = { project_id: projectId, id, actor: "test", payload: null, channel: null };
  const settled = await settlements.settle(db, move as TriggerMove, [
    { ...end, event_id: null, idempotency_key: null, delivery_id: id, error: null, due: false, lease_id: null },
  ]);
  return settled.length > 0;
};

async function givenPlace(): Promise<Place> {
  const strait = await startServer({ runsEngine: false });
  const jobId = await givenJob(strait);
  const [lease] = await strait.db.query<{ id: number }>(sql`SELECT max(id) AS id FROM leases`);
  return { db: strait.server.context.db, projectId: strait.projectId, jobId, leaseId: lease?.id ?? 0 };
}

const plain = (text: string): Statement => ({ text, values: [] });
const statusOf = async (db: Queryable, { table }: Subject) =>
  new Map(
    (await db.query<{ id: string; status: string }>(plain(`SELECT id, status FROM ${table}`))).map((row) => [
      row.id,
      row.status,
    ]),
  );

/** The statuses that the table's CHECK admits, or that of the column's domain. */
async function knownStatuses(db: Queryable, { table }: Subject): Promise<string[]> {
  const [check] = await db.query<{ definition: string }>(sql`
    SELECT pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c
    JOIN pg_attribute a ON a.attrelid = ${table}::regclass AND a.attname = 'status'
    WHERE c.convalidated
      AND (c.contypid = a.atttypid OR (c.conrelid = a.attrelid AND c.conname = 'known_status'))`);
  return [...(check?.definition ?? "").matchAll(/'(\w+)'/g)].map(([, status]) => status ?? "").sort();
}

describe.each<[string, Subject]>([
  ["movesOfRuns.move", run],
  [
    "settlements.move",
    trigger(({ db, projectId }, id, move) => settlements.move(db, projectId, id, move as TriggerMove)),
  ],
  ["settlements.settle", trigger(settle)],
  ["stepRuns.move", step],
  ["workflowRuns.move", workflowRun],
  ["deliveries.move", delivery],
])("%s", (_, subject) => {
  test("invariant 1: applies a move exactly where the table allows it, and changes nothing elsewhere", async () => {
    const place = await givenPlace();
    const cases = subject.statuses.flatMap((status) =>
      Object.entries(subject.moves).map(([name, { from, to }]) => ({
        id: `${status}-${name}`,
        status,
        name,
        expected: from.includes(status) ? to : status,
        isAllowed: from.includes(status),
      })),
    );
    for (const { id, status } of cases) await place.db.query(subject.given(place, id, status));

    const answers: string[] = [];
    for (const { id, name } of cases) if (await subject.ask(place, id, name)) answers.push(id);

    const allowed = cases.filter((each) => each.isAllowed);
    expect(answers).toEqual(allowed.map(({ id }) => id));
    expect(await statusOf(place.db, subject)).toEqual(new Map(cases.map(({ id, expected }) => [id, expected])));
    const changes = await place.db.query<{ id: string; before: string; after: string }>(
      sql`SELECT subject_id AS id, before, after FROM changes WHERE actor IN ('test', 'system') ORDER BY seq`,
    );
    expect(changes).toEqual(allowed.map(({ id, status, expected }) => ({ id, before: status, after: expected })));
  });

  test("invariant 1: an unknown status is refused by the database itself", async () => {
    const place = await givenPlace();
    const status = subject.statuses[0] ?? "";
    await place.db.query(subject.given(place, "row", status));

    const update = place.db.query(plain(`UPDATE ${subject.table} SET status = 'unheard_of'`));

    await expect(update).rejects.toMatchObject({ code: "23514" });
    expect(await knownStatuses(place.db, subject)).toEqual([...subject.statuses].sort());
    expect(await statusOf(place.db, subject)).toEqual(new Map([["row", status]]));
  });
});

test("invariant 1: nothing outside the store writes to a table that has a status", async () => {
  const folder = fileURLToPath(new URL("../src", import.meta.url));
  const files = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".ts"));
  const writes =
    /\b(UPDATE|INSERT INTO|DELETE FROM)\s+(runs|event_triggers|step_runs|workflow_runs|webhook_deliveries)\b/;

  const writers = [];
  for (const file of files) if (writes.test(await readFile(`${folder}/${file}`, "utf8"))) writers.push(file);

  expect(writers.length).toBeGreaterThan(3);
  expect(writers.filter((file) => !file.startsWith("store/"))).toEqual([]);
});
