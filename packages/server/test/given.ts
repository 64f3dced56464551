import { expect } from "vitest";
import { sql } from "../src/store/sql.ts";
import { eventually, startExecutor, startServer, type TestServer } from "./server.ts";

let jobs = 0;

/** A job of the server's project. Its endpoint refuses connections unless the test names one. */
export async function givenJob(strait: TestServer, job: object = {}): Promise<string> {
  const slug = `job-${++jobs}`;
  const { status, body } = await strait.request("POST", "/v1/jobs", {
    body: { name: slug, slug, endpoint_url: "http://127.0.0.1:1/", ...job },
  });
  expect(status).toBe(201);
  return body.id;
}

export interface Triggered {
  readonly id: string;
  readonly status: string;
  /** Of the first dispatch. */
  readonly token: string;
}

export async function trigger(strait: TestServer, jobId: string, run: object = {}): Promise<Triggered> {
  const { status, body } = await strait.request("POST", `/v1/jobs/${jobId}/trigger`, { body: { payload: {}, ...run } });
  expect(status).toBe(201);
  return { id: body.id, status: body.status, token: body.run_token };
}

/** Triggers `count` runs at once, in one statement. */
export async function triggerMany(
  strait: TestServer,
  jobId: string,
  count: number,
  run: object = {},
): Promise<string[]> {
  const items = Array.from({ length: count }, () => ({ payload: {}, ...run }));
  const { status, body } = await strait.request("POST", `/v1/jobs/${jobId}/trigger/bulk`, { body: { items } });
  expect(status).toBe(201);
  return body.results.map((result: { id: string }) => result.id);
}

// biome-ignore lint/suspicious/noExplicitAny: a test names what it expects of a body
export async function readRun(strait: TestServer, id: string): Promise<any> {
  return (await strait.request("GET", `/v1/runs/${id}`)).body;
}

/** Resolves with the run when it has the status. */
export function runIs(strait: TestServer, id: string, status: string): ReturnType<typeof readRun> {
  return eventually(async () => {
    const run = await readRun(strait, id);
    return run.status === status && run;
  });
}

/** What a run, a trigger or a step went through: the statuses of its changes, oldest first. */
export async function historyOf(strait: TestServer, id: string): Promise<string[]> {
  const changes = await strait.db.query<{ after: string }>({
    text: `
      SELECT sequence, after FROM changes WHERE subject_id = $1 AND kind = 'status'
      UNION ALL
      SELECT t.change_seq, t.status FROM changes c JOIN event_triggers t ON t.id = c.ended_trigger_id
      WHERE c.ended_trigger_id = $1
      ORDER BY sequence`,
    values: [id],
  });
  return changes.map((change) => change.after);
}

/** How many rows a table has. */
export async function countOf(strait: TestServer, table: string): Promise<number | undefined> {
  const [row] = await strait.db.query<{ n: number }>({ text: `SELECT count(*)::int AS n FROM ${table}`, values: [] });
  return row?.n;
}

/** Sessions of this database that wait for a lock. */
export async function blockedSessions(strait: TestServer): Promise<number> {
  const [row] = await strait.db.query<{ n: number }>(sql`
    SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`);
  return row?.n ?? 0;
}

/** Until every call of this process has ended. */
export async function landed(strait: TestServer): Promise<void> {
  await eventually(async () => strait.server.dispatcher.inFlight === 0);
}

/**
 * A server whose tasks only run when they are told to, and which knows already that its queue is empty: it claims runs as
 * they are inserted.
 */
export async function startQuiet(env: Record<string, string> = {}, databaseUrl?: string): Promise<TestServer> {
  const given = databaseUrl === undefined ? {} : { databaseUrl };
  const strait = await startServer({ runsEngine: false, env, ...given });
  await strait.tick("dispatch-runs");
  return strait;
}

export interface ExecutingWorld {
  readonly strait: TestServer;
  readonly environmentId: string;
  readonly jobId: string;
  /** Runs that execute, and whose executor says nothing more. */
  executing(count: number): Promise<Triggered[]>;
}

export async function startExecutingWorld(databaseUrl?: string): Promise<ExecutingWorld> {
  const strait = await startQuiet({}, databaseUrl);
  const executor = await startExecutor(() => ({ status: 202 }));
  const jobId = await givenJob(strait, { endpoint_url: executor.url });
  const [project] = await strait.db.query<{ id: string }>(
    sql`SELECT default_environment_id AS id FROM projects WHERE id = ${strait.projectId}`,
  );
  return {
    strait,
    jobId,
    environmentId: project?.id ?? "",
    executing: (count) => Promise.all(Array.from({ length: count }, () => trigger(strait, jobId))),
  };
}
