import type { OperationId, Scope } from "@strait/contract";
import { examples, operations } from "@strait/contract";
import { insertKey } from "../src/service/api-keys.ts";
import { type RunTokenClaims, runTokens } from "../src/service/run-token.ts";
import { checkSteps } from "../src/service/workflow-definition.ts";
import { json, type Queryable, sql } from "../src/store/sql.ts";
import { openapi } from "./contract.ts";
import { type RequestOptions, startServer, type TestServer } from "./server.ts";

interface World {
  readonly project: {
    readonly id: string;
    readonly name: string;
    readonly org_id: string;
    default_environment_id: string;
  };
  readonly api_keys: readonly { readonly id: string; readonly name: string; readonly scopes: readonly Scope[] }[];
  readonly jobs: readonly {
    readonly id: string;
    readonly slug: string;
    readonly name: string;
    readonly endpoint_url: string;
    readonly tags?: Record<string, string>;
  }[];
  readonly runs: readonly {
    readonly id: string;
    readonly job_id: string;
    readonly status: string;
    readonly attempt: number;
    readonly dispatch_seq: number;
    readonly payload: unknown;
    readonly triggered_by?: string;
    readonly workflow_run_id?: string;
    readonly workflow_step_run_id?: string;
    readonly result?: unknown;
    readonly checkpoint?: unknown;
    readonly progress?: object;
    readonly state?: Record<string, unknown>;
  }[];
  readonly event_triggers: readonly {
    readonly id: string;
    readonly event_key: string;
    readonly generation: number;
    readonly source_type: string;
    readonly workflow_run_id?: string;
    readonly workflow_step_run_id?: string;
    readonly job_run_id?: string;
    readonly status: string;
    readonly timeout_secs: number;
    readonly notify_url?: string;
    readonly notify_status?: string;
  }[];
  readonly events: readonly {
    readonly id: string;
    readonly event_key: string;
    readonly trigger_id: string;
    readonly generation: number;
    readonly disposition: string;
    readonly payload: unknown;
    readonly payload_digest: string;
    readonly actor: string;
    readonly channel: string;
    readonly issues: readonly object[];
  }[];
  readonly webhook_deliveries: readonly {
    readonly id: string;
    readonly event_type: string;
    readonly event_trigger_id: string;
    readonly run_id: string;
    readonly job_id: string;
    readonly webhook_url: string;
    readonly status: string;
    readonly attempts: number;
    readonly last_status_code: number;
    readonly last_error: string;
  }[];
  readonly dead_letters: readonly {
    readonly id: string;
    readonly event_key: string;
    readonly reason: string;
    readonly payload: unknown;
  }[];
  readonly audit_events: readonly {
    readonly id: string;
    readonly actor_kind: string;
    readonly actor_id: string;
    readonly authenticated_by: string;
    readonly action: string;
    readonly resource_type: string;
    readonly resource_id: string;
    readonly request_id: string;
    readonly details: object;
  }[];
  readonly workflows: readonly {
    readonly id: string;
    readonly slug: string;
    readonly name: string;
    readonly steps: Parameters<typeof checkSteps>[2];
  }[];
  readonly workflow_runs: readonly {
    readonly id: string;
    readonly workflow_id: string;
    readonly status: string;
    readonly payload: unknown;
    readonly steps: readonly {
      readonly id: string;
      readonly step_ref: string;
      readonly status: string;
      readonly job_run_id?: string;
      readonly event_trigger_id?: string;
      readonly output?: unknown;
    }[];
  }[];
}

const world = openapi["x-strait-example-world"] as World;
const ACTOR = "test";

export interface ExampleWorld extends TestServer {
  /** The run of the SDK examples, and the token of its dispatch 1. */
  readonly runId: string;
  readonly runToken: string;
  /** What a caller of the operation shows: a key with every scope, the token of the run, the internal secret, or nothing. */
  credentialsOf(id: OperationId): Pick<RequestOptions, "token" | "headers">;
  signRunToken(claims: Partial<RunTokenClaims>, lifetimeSecs?: number): string;
  /** A new key of the project. */
  keyWith(scopes: readonly Scope[]): Promise<string>;
}

/** A server that holds what the examples of the contract take for granted, and does nothing by itself. */
export async function startExampleWorld(env: Record<string, string> = {}): Promise<ExampleWorld> {
  const strait = await startServer({ env: { MODE: "api", ...env }, runsEngine: false });
  const { clock } = strait.server.context;
  const { id: projectId, default_environment_id: environment_id } = world.project;
  await seed(strait.db);
  const keyWith = async (scopes: readonly Scope[]) => {
    const key = { name: "Caller", scopes, environment_id, expires_in_days: null };
    return (await insertKey(strait.db, clock.newId("key"), projectId, key)).key;
  };
  const apiKey = await keyWith(["*"]);
  const [run] = world.runs;
  if (!run) throw new Error("the example world has no run");
  const signRunToken = (claims: Partial<RunTokenClaims>, lifetimeSecs = 3_600) =>
    runTokens(strait.jwtSigningKey, () => clock.nowMs()).sign(
      { runId: run.id, projectId, attempt: 1, dispatchSeq: 1, ...claims },
      lifetimeSecs,
    );
  const runToken = signRunToken({});
  return {
    ...strait,
    fetch: (method, path, options) => strait.fetch(method, path, { token: apiKey, ...options }),
    request: (method, path, options) => strait.request(method, path, { token: apiKey, ...options }),
    projectId,
    apiKey,
    runId: run.id,
    runToken,
    signRunToken,
    keyWith,
    credentialsOf(id) {
      const auth: readonly string[] = operations[id].auth;
      if (auth.includes("runToken")) return { token: runToken };
      if (auth.includes("bearer")) return { token: apiKey };
      return { token: null, headers: auth.length === 0 ? {} : { "x-internal-secret": strait.internalSecret } };
    },
  };
}

export const operationIds = Object.keys(operations) as OperationId[];

/** The URL of an operation's example; `pathParams` replace those of the example. */
export function examplePath(id: OperationId, pathParams: Readonly<Record<string, string>> = {}): string {
  const { request } = examples[id];
  const values = { ...request.pathParams, ...pathParams };
  const path = operations[id].path.replaceAll(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`${id} has no example of its path parameter ${name}`);
    return encodeURIComponent(value);
  });
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(request.query)) query.set(name, String(value));
  return query.size === 0 ? path : `${path}?${query}`;
}

async function seed(db: Queryable): Promise<void> {
  const { project } = world;
  const environment = project.default_environment_id;
  await db.query(sql`
    INSERT INTO projects (id, org_id, name, default_environment_id)
    VALUES (${project.id}, ${project.org_id}, ${project.name}, ${environment})`);
  await db.query(
    sql`INSERT INTO environments (project_id, id, name) VALUES (${project.id}, ${environment}, 'default')`,
  );
  await db.query(sql`
    INSERT INTO api_keys (project_id, id, environment_id, name, key_prefix, key_hash, scopes)
    SELECT ${project.id}, id, ${environment}, name, 'strait_5f2a9', id, ARRAY(SELECT json_array_elements_text(scopes))
    FROM json_to_recordset(${json(world.api_keys)}) AS i(id text, name text, scopes json)`);
  await db.query(sql`
    INSERT INTO jobs (project_id, id, environment_id, name, slug, endpoint_url, tags, max_attempts, timeout_secs, retry_strategy)
    SELECT ${project.id}, id, ${environment}, name, slug, endpoint_url, coalesce(tags, '{}'), 3, 300, 'exponential'
    FROM json_to_recordset(${json(world.jobs)}) AS i(id text, name text, slug text, endpoint_url text, tags json)`);
  await seedWorkflows(db);
  await seedRuns(db);
  await seedTriggers(db);
  await seedEvents(db);
  await seedDeliveries(db);
  await seedDeadLetters(db);
  await db.query(sql`
    INSERT INTO audit_events (project_id, id, actor_kind, actor_id, authenticated_by, channel, action, resource_type,
      resource_id, request_id, details)
    SELECT ${project.id}, id, actor_kind, actor_id, authenticated_by, 'api', action, resource_type, resource_id, request_id,
      details
    FROM json_to_recordset(${json(world.audit_events)}) AS i(id text, actor_kind text, actor_id text, authenticated_by text,
      action text, resource_type text, resource_id text, request_id text, details json)`);
  await db.query(sql`
    INSERT INTO changes (project_id, subject_id, sequence, kind, after, actor, workflow_run_id)
    SELECT project_id, id, 1, 'status', status, ${ACTOR}, workflow_run_id FROM runs
    UNION ALL SELECT project_id, id, 1, 'status', status, ${ACTOR}, workflow_run_id FROM event_triggers
    UNION ALL SELECT project_id, id, 1, 'status', status, ${ACTOR}, id FROM workflow_runs
    UNION ALL SELECT project_id, id, 1, 'status', status, ${ACTOR}, workflow_run_id FROM step_runs`);
}

async function seedWorkflows(db: Queryable): Promise<void> {
  const { id: projectId, default_environment_id: environment } = world.project;
  for (const workflow of world.workflows) {
    const steps = await checkSteps(db, projectId, workflow.steps, false);
    await db.query(sql`
      INSERT INTO workflows (project_id, id, environment_id, name, slug)
      VALUES (${projectId}, ${workflow.id}, ${environment}, ${workflow.name}, ${workflow.slug})`);
    await db.query(sql`
      INSERT INTO workflow_versions (project_id, workflow_id, version, steps)
      VALUES (${projectId}, ${workflow.id}, 1, ${json(steps)})`);
    for (const run of world.workflow_runs.filter((candidate) => candidate.workflow_id === workflow.id)) {
      await db.query(sql`
        INSERT INTO workflow_runs (project_id, id, environment_id, workflow_id, workflow_version, status, payload,
          triggered_by, started_at)
        VALUES (${projectId}, ${run.id}, ${environment}, ${workflow.id}, 1, ${run.status}, ${json(run.payload)}, 'manual',
          strait_now())`);
      await db.query(sql`
        INSERT INTO step_runs (project_id, id, workflow_run_id, position, step_ref, type, status, depends_on, job_run_id,
          event_trigger_id, output, started_at, finished_at)
        SELECT ${projectId}, i.id, ${run.id}, d.position - 1, i.step_ref, d.step->>'type', i.status,
          ARRAY(SELECT json_array_elements_text(d.step->'depends_on')), i.job_run_id, i.event_trigger_id, i.output,
          CASE WHEN i.status <> 'pending' THEN strait_now() END, CASE WHEN i.status = 'completed' THEN strait_now() END
        FROM json_to_recordset(${json(run.steps)}) AS i(id text, step_ref text, status text, job_run_id text,
          event_trigger_id text, output text)
        JOIN json_array_elements(${json(steps)}) WITH ORDINALITY AS d(step, position) ON d.step->>'step_ref' = i.step_ref`);
    }
  }
}

async function seedRuns(db: Queryable): Promise<void> {
  const { id: projectId, default_environment_id: environment } = world.project;
  await db.query(sql`
    INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, attempt, max_attempts, dispatch_seq,
      payload, result, checkpoint, checkpoint_seq, checkpoint_source, checkpoint_at, progress, tags, triggered_by,
      workflow_run_id, workflow_step_run_id, started_at, finished_at, lease_id)
    SELECT ${projectId}, i.id, ${environment}, j.id, 1, i.status, i.attempt, j.max_attempts, i.dispatch_seq, i.payload,
      i.result, i.checkpoint, (i.checkpoint IS NOT NULL)::int, CASE WHEN i.checkpoint IS NOT NULL THEN 'sdk' END,
      CASE WHEN i.checkpoint IS NOT NULL THEN strait_now() END,
      (i.progress || jsonb_build_object('reported_at', '2025-07-12T18:58:00.000000Z'))::json, j.tags,
      coalesce(i.triggered_by, 'manual'), i.workflow_run_id, i.workflow_step_run_id, strait_now(),
      CASE WHEN i.status = 'completed' THEN strait_now() END,
      CASE WHEN i.status = 'executing' THEN (SELECT max(id) FROM leases) END
    FROM json_to_recordset(${json(world.runs)}) AS i(id text, job_id text, status text, attempt int, dispatch_seq int,
      payload text, result text, checkpoint text, progress jsonb, triggered_by text, workflow_run_id text,
      workflow_step_run_id text)
    JOIN jobs j ON j.project_id = ${projectId} AND j.id = i.job_id`);
  await db.query(sql`
    INSERT INTO run_state (project_id, run_id, key, value)
    SELECT ${projectId}, i.id, s.key, s.value
    FROM json_to_recordset(${json(world.runs)}) AS i(id text, state json), json_each(i.state) AS s`);
  await db.query(sql`
    WITH message AS (
      INSERT INTO inbox_messages (project_id, run_id, sequence, id, name, payload, disposition, actor)
      SELECT ${projectId}, i.id, m.sequence, m.entry->>'id', m.entry->>'name', m.entry->>'payload', 'buffered', ${ACTOR}
      FROM json_to_recordset(${json(world.runs)}) AS i(id text, inbox json),
        json_array_elements(i.inbox) WITH ORDINALITY AS m(entry, sequence)
      RETURNING project_id, run_id, sequence)
    INSERT INTO run_inboxes (project_id, run_id, last_sequence)
    SELECT project_id, run_id, max(sequence) FROM message GROUP BY project_id, run_id`);
}

async function seedTriggers(db: Queryable): Promise<void> {
  const { id: projectId, default_environment_id: environment } = world.project;
  await db.query(sql`
    WITH inserted AS (
      INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, status,
        workflow_run_id, workflow_step_run_id, job_run_id, timeout_secs, expires_at, closes_at, notify_url,
        notify_status, on_timeout, on_cancel)
      SELECT ${projectId}, id, ${environment}, event_key, generation, source_type, 'event', status, workflow_run_id,
        workflow_step_run_id, job_run_id, timeout_secs, strait_now() + make_interval(secs => timeout_secs),
        strait_now() + make_interval(secs => timeout_secs), notify_url,
        notify_status,
        CASE WHEN job_run_id IS NOT NULL THEN 'fail' END, CASE WHEN job_run_id IS NOT NULL THEN 'fail' END
      FROM json_to_recordset(${json(world.event_triggers)}) AS i(id text, event_key text, generation int, source_type text,
        status text, workflow_run_id text, workflow_step_run_id text, job_run_id text, timeout_secs int, notify_url text,
        notify_status text)
      RETURNING *)
    INSERT INTO event_keys (project_id, environment_id, event_key, generation, latest_trigger_id)
    SELECT project_id, environment_id, event_key, generation, id FROM inserted`);
}

async function seedEvents(db: Queryable): Promise<void> {
  const { id: projectId, default_environment_id: environment } = world.project;
  await db.query(sql`
    INSERT INTO events (project_id, id, environment_id, event_key, trigger_id, generation, disposition, payload,
      payload_digest, actor, channel, issues)
    SELECT ${projectId}, id, ${environment}, event_key, trigger_id, generation, disposition, payload, payload_digest, actor,
      channel, issues
    FROM json_to_recordset(${json(world.events)}) AS i(id text, event_key text, trigger_id text, generation int,
      disposition text, payload text, payload_digest text, actor text, channel text, issues json)`);
}

async function seedDeliveries(db: Queryable): Promise<void> {
  await db.query(sql`
    INSERT INTO webhook_deliveries (project_id, id, event_type, event_trigger_id, run_id, job_id, webhook_url, status,
      attempts, last_status_code, last_error, payload)
    SELECT ${world.project.id}, id, event_type, event_trigger_id, run_id, job_id, webhook_url, status, attempts,
      last_status_code, last_error, '{}'
    FROM json_to_recordset(${json(world.webhook_deliveries)}) AS i(id text, event_type text, event_trigger_id text,
      run_id text, job_id text, webhook_url text, status text, attempts int, last_status_code int, last_error text)`);
}

async function seedDeadLetters(db: Queryable): Promise<void> {
  const { id: projectId, default_environment_id: environment } = world.project;
  await db.query(sql`
    INSERT INTO events (project_id, id, environment_id, event_key, disposition, payload, payload_digest, actor, channel,
      dead_letter_reason, dead_letter_status, dead_lettered_at)
    SELECT ${projectId}, id, ${environment}, event_key, 'expired', payload, '', ${ACTOR}, 'api', reason, 'open', strait_now()
    FROM json_to_recordset(${json(world.dead_letters)}) AS i(id text, event_key text, reason text, payload text)`);
}

/** Every project has all keys: these answer for one that nobody knows, and what they meet is never another project's. */
export const takesAnyKey: ReadonlySet<OperationId> = new Set([
  "getV1EventsByEventKeyExplain",
  "getV1EventsByEventKeySends",
  "postV1EventsByEventKeySend",
  "postV1EventsPrefixByPrefixSend",
]);
