import { type OperationId, operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import type { Queryable } from "../src/store/sql.ts";
import { type ExampleWorld, operationIds, startExampleWorld } from "./example-world.ts";

const RUN = "run_01k0000000e00800000000exec";
const WORKFLOW_RUN = "wfr_01k0000000e0080000000000ex";
const PROJECT = "proj_01k0000000e0080000000000ex";
const ENVIRONMENT = "env_01k0000000e0080000000000ex";

interface List {
  readonly path: string;
  /** What makes a row; `id` is its id, `n` its number, and the project is $1, the environment $2. */
  readonly insert: string;
  /** The prefix of the ids, where rows have ids. */
  readonly prefix?: string;
  /** What tells one row from the others. */
  readonly key?: string;
  /** Oldest first: rows that arrive are behind all pages, and are found there. */
  readonly isLog?: boolean;
}

/** Every list of the contract, and how it gets rows. */
const lists: Partial<Record<OperationId, List>> = {
  getV1ApiKeys: {
    path: "/v1/api-keys",
    prefix: "key",
    insert: `INSERT INTO api_keys (project_id, id, environment_id, name, key_prefix, key_hash, scopes)
      SELECT $1, id, $2, 'Key', 'strait_', id, '{*}'`,
  },
  getV1AuditEvents: {
    path: "/v1/audit-events",
    prefix: "aud",
    insert: `INSERT INTO audit_events (project_id, id, actor_kind, channel, action, resource_type, resource_id)
      SELECT $1, id, 'system', 'server', 'job.create', 'job', $2`,
  },
  getV1EventDeadLetters: {
    path: "/v1/event-dead-letters",
    prefix: "evt",
    insert: `INSERT INTO events (project_id, id, environment_id, event_key, disposition, payload, payload_digest, actor, channel,
        dead_letter_reason, dead_letter_status, dead_lettered_at)
      SELECT $1, id, $2, 'asked', 'expired', '1', '', 'internal', 'api', 'expired', 'open', strait_now()`,
  },
  getV1Events: {
    path: "/v1/events",
    prefix: "trg",
    insert: `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type,
        job_run_id) SELECT $1, id, $2, id, 1, 'job_run', 'event', '${RUN}'`,
  },
  getV1EventsByEventKeySends: {
    path: "/v1/events/asked/sends?disposition=late",
    prefix: "evt",
    insert: `INSERT INTO events (project_id, id, environment_id, event_key, disposition, payload, payload_digest, actor, channel)
      SELECT $1, id, $2, 'asked', 'late', '1', '', 'internal', 'api'`,
  },
  getV1Jobs: {
    path: "/v1/jobs",
    prefix: "job",
    insert: `INSERT INTO jobs (project_id, id, environment_id, name, slug, endpoint_url, max_attempts, timeout_secs, retry_strategy)
      SELECT $1, id, $2, 'Job', id, 'https://executor.example.com', 1, 1, 'fixed'`,
  },
  getV1Projects: {
    path: "/v1/projects",
    insert: "INSERT INTO projects (id, name, default_environment_id) SELECT 'p' || md5(id || $1), 'Project', $2",
  },
  getV1Runs: {
    path: "/v1/runs?status=queued",
    prefix: "run",
    insert: `INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, payload, triggered_by)
      SELECT $1, id, $2, 'job_01k0000000e008000000000ex1', 1, 'queued', 1, 'null', 'manual'`,
  },
  getV1RunsByRunIDEvents: {
    path: `/v1/runs/${RUN}/events`,
    key: "sequence",
    isLog: true,
    insert: `INSERT INTO changes (project_id, subject_id, sequence, kind, actor) SELECT $1, '${RUN}', n + 1, 'log', $2`,
  },
  getV1RunsByRunIDInbox: {
    path: `/v1/runs/${RUN}/inbox`,
    key: "sequence",
    isLog: true,
    insert: `INSERT INTO inbox_messages (project_id, run_id, sequence, id, name, payload, disposition, actor)
      SELECT $1, '${RUN}', n + 10, id, 'note', '1', 'buffered', $2`,
  },
  getV1WebhooksDeliveries: {
    path: "/v1/webhooks/deliveries?status=pending",
    prefix: "whd",
    insert: `INSERT INTO webhook_deliveries (project_id, id, event_type, webhook_url, payload, next_retry_at)
      SELECT $1, id, 'trigger.waiting', 'https://app.example.com/' || left($2, 0), '{}', strait_now()`,
  },
  getV1WorkflowRuns: {
    path: "/v1/workflow-runs?workflow_id=kyc-onboarding",
    prefix: "wfr",
    insert: `INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, payload, triggered_by)
      SELECT $1, id, $2, 'wf_01k0000000e0080000000000ex', 1, 'null', 'manual'`,
  },
  getV1WorkflowRunsByWorkflowRunIDSteps: {
    path: `/v1/workflow-runs/${WORKFLOW_RUN}/steps`,
    isLog: true,
    prefix: "step",
    insert: `INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type)
      SELECT $1, id, '${WORKFLOW_RUN}', n + 2, id || left($2, 0), 'job'`,
  },
  getV1Workflows: {
    path: "/v1/workflows",
    prefix: "wf",
    insert: `WITH made AS (INSERT INTO workflows (project_id, id, environment_id, name, slug) SELECT $1, id, $2, 'Workflow', id
        FROM new RETURNING id) INSERT INTO workflow_versions (project_id, workflow_id, version, steps) SELECT $1, id, 1, '[]'
        FROM made`,
  },
  getSdkV1RunsByRunIDState: {
    path: `/sdk/v1/runs/${RUN}/state`,
    key: "key",
    insert: `INSERT INTO run_state (project_id, run_id, key, value) SELECT $1, '${RUN}', 'k:é ' || md5(n || $2), '1'`,
  },
};

/** Makes rows, numbered `from` to `to`, whose ids are in the order of their numbers. */
async function insertRows(db: Queryable, { insert, prefix = "x" }: List, from: number, to: number): Promise<void> {
  // Ids of the example world begin with 01k0, so these are younger.
  const source = `(SELECT n, '${prefix}_01k1' || lpad(n::text, 22, '0') AS id FROM generate_series(${from}, ${to}) AS n)`;
  const text = insert.includes("FROM new")
    ? insert.replace("WITH ", `WITH new AS ${source}, `)
    : `${insert} FROM ${source} AS new`;
  await db.query({ text, values: [PROJECT, ENVIRONMENT] });
}

/** Reads all pages; `between` happens after each of them. */
async function readAll(world: ExampleWorld, id: OperationId, list: List, limit: number, between: () => Promise<void>) {
  const rows: unknown[] = [];
  const sizes: number[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const query = `${list.path.includes("?") ? "&" : "?"}limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const { status, body } = await world.request("GET", `${list.path}${query}`, world.credentialsOf(id));
    expect(status).toBe(200);
    expect(body.has_more).toBe(body.next_cursor !== null);
    rows.push(...body.data.map((row: Record<string, unknown>) => row[list.key ?? "id"]));
    sizes.push(body.data.length);
    cursor = body.next_cursor;
    await between();
  }
  return { rows, sizes };
}

const paginated = operationIds.filter((id) => operations[id].paginated);

test("every list of the contract is here", () => {
  expect(Object.keys(lists).toSorted()).toEqual(paginated.toSorted());
});

describe.each(Object.entries(lists) as [OperationId, List][])("%s", (id, list) => {
  test("shows each of its rows once, in pages of any size", async () => {
    const world = await startExampleWorld();
    await insertRows(world.db, list, 1, 120);
    const readBy = (limit: number) => readAll(world, id, list, limit, async () => {});

    const [small, large] = [await readBy(7), await readBy(100)];

    const count = large.rows.length;
    expect(count).toBeGreaterThanOrEqual(120);
    expect(new Set(large.rows).size).toBe(count);
    expect(small.rows).toEqual(large.rows);
    expect(small.sizes.slice(0, -1)).toEqual(Array.from({ length: Math.ceil(count / 7) - 1 }, () => 7));
    expect(large.sizes).toEqual([100, count - 100]);
  });

  test("shows each of its rows once while others arrive", async () => {
    const world = await startExampleWorld();
    await insertRows(world.db, list, 1, 120);
    const { rows: before } = await readAll(world, id, list, 100, async () => {});
    let next = 121;

    const { rows } = await readAll(world, id, list, 30, async () => {
      // Then nobody writes any more: a log would have no end.
      if (next > 160) return;
      await insertRows(world.db, list, next, next + 9);
      next += 10;
    });

    expect(new Set(rows).size).toBe(rows.length);
    expect(rows.filter((row) => before.includes(row))).toEqual(before);
    expect(rows.length - before.length).toBeGreaterThanOrEqual(list.isLog ? 40 : 0);
  });

  test("ends a page that is exactly full", async () => {
    const world = await startExampleWorld();
    const { rows } = await readAll(world, id, list, 100, async () => {});
    await insertRows(world.db, list, 1, 60 - rows.length);

    const { sizes } = await readAll(world, id, list, 30, async () => {});

    expect(sizes).toEqual([30, 30]);
  });
});

test("a list has 50 rows where nobody says otherwise, newest first", async () => {
  const world = await startExampleWorld();
  const { getV1Jobs: jobs } = lists;
  if (jobs) await insertRows(world.db, jobs, 1, 60);

  const { body } = await world.request("GET", "/v1/jobs");

  const ids: string[] = body.data.map((job: { id: string }) => job.id);
  expect(ids).toHaveLength(50);
  expect(ids).toEqual(ids.toSorted().reverse());
});
