import { expect, onTestFinished } from "vitest";
import { openSession, type Session } from "../src/store/session.ts";
import type { Statement } from "../src/store/sql.ts";
import {
  type Answer,
  type Dispatch,
  type Executor,
  type ExecutorAnswer,
  eventually,
  startExecutor,
  type TestServer,
} from "./server.ts";

/** A run whose code the test plays, with the token of its first dispatch. */
export interface StagedRun {
  readonly id: string;
  readonly token: string;
  /** `wait-for-event`, as the run's code would call it. */
  wait(eventKey: string, options?: object): Promise<Answer>;
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  read(): Promise<any>;
  /** The n-th dispatch of the run, from 1, when it has come. */
  dispatch(n: number): Promise<Dispatch>;
  /** Resolves when the run has the status. */
  is(status: string): Promise<void>;
}

export interface Stage {
  readonly executor: Executor;
  readonly jobId: string;
  /** Triggers a run, and resolves when its first dispatch has come. */
  run(payload?: unknown): Promise<StagedRun>;
  /** A run that waits on the key. */
  parked(eventKey: string, options?: object): Promise<StagedRun & { readonly trigger: Answer["body"] }>;
}

/**
 * A job and its executor. By default the executor answers 202 and leaves its runs alone, so that a test calls on their
 * behalf what their code would.
 */
export async function startStage(
  strait: TestServer,
  handle: (dispatch: Dispatch) => ExecutorAnswer | Promise<ExecutorAnswer> = () => ({ status: 202 }),
  job: object = {},
): Promise<Stage> {
  const executor = await startExecutor(handle);
  const created = await strait.request("POST", "/v1/jobs", {
    body: { name: "Review", slug: "review", endpoint_url: executor.url, ...job },
  });
  expect(created.status).toBe(201);
  const dispatchesOf = (id: string) => executor.dispatches.filter(({ runId }) => runId === id);

  async function run(payload: unknown = {}): Promise<StagedRun> {
    const triggered = await strait.request("POST", `/v1/jobs/${created.body.id}/trigger`, { body: { payload } });
    expect(triggered.status).toBe(201);
    const { id, run_token: token } = triggered.body;
    const dispatch = (n: number) => eventually(async () => dispatchesOf(id)[n - 1]);
    const read = async () => (await strait.request("GET", `/v1/runs/${id}`)).body;
    await dispatch(1);
    return {
      id,
      token,
      wait: (eventKey, options = {}) => waitForEvent(strait, { id, token }, eventKey, options),
      read,
      dispatch,
      is: async (status) => {
        await eventually(async () => (await read()).status === status);
      },
    };
  }

  return {
    executor,
    jobId: created.body.id,
    run,
    async parked(eventKey, options) {
      const parked = await run();
      const answer = await parked.wait(eventKey, options);
      expect(answer.body).toMatchObject({ status: "waiting" });
      return { ...parked, trigger: answer.body };
    },
  };
}

export function waitForEvent(
  strait: TestServer,
  run: { readonly id: string; readonly token: string },
  eventKey: string,
  options: object = {},
): Promise<Answer> {
  return strait.request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, {
    token: run.token,
    body: { event_key: eventKey, ...options },
  });
}

export function send(
  strait: TestServer,
  eventKey: string,
  payload: unknown,
  options: object = {},
  headers: Record<string, string> = {},
): Promise<Answer> {
  return strait.request("POST", `/v1/events/${encodeURIComponent(eventKey)}/send`, {
    body: { payload, ...options },
    headers,
  });
}

export function eventOf(strait: TestServer, eventKey: string): Promise<Answer> {
  return strait.request("GET", `/v1/events/${encodeURIComponent(eventKey)}`);
}

/** A second server on the database of the first, which speaks for the project of the first. */
export function besides(strait: TestServer, second: TestServer): TestServer {
  return {
    ...second,
    projectId: strait.projectId,
    apiKey: strait.apiKey,
    fetch: (method, path, options) => second.fetch(method, path, { token: strait.apiKey, ...options }),
    request: (method, path, options) => second.request(method, path, { token: strait.apiKey, ...options }),
  };
}

/** A transaction in a session of its own, which holds what `statement` locks until it is released. */
export async function hold(strait: TestServer, statement: Statement): Promise<Session & { release(): Promise<void> }> {
  const session = await openSession(strait.databaseUrl, "strait test lock");
  let isOpen = true;
  const release = async () => {
    if (!isOpen) return;
    isOpen = false;
    await session.query({ text: "COMMIT", values: [] });
    await session.close();
  };
  onTestFinished(release);
  await session.query({ text: "BEGIN", values: [] });
  await session.query(statement);
  return { ...session, release };
}
