import { createProject } from "@strait/example-support/project";
import type { Answer, Api, RequestOptions } from "./api.ts";
import type { Dispatch, Executor, Handle } from "./executor.ts";
import { has, Skipped, same } from "./expect.ts";
import { eventually } from "./patience.ts";
import { readStream, type Stream } from "./stream.ts";
import { startWorkflow, type WorkflowRun } from "./workflow.ts";

/** A run whose code the check plays. */
export interface Run {
  readonly id: string;
  /** Of its first dispatch. */
  readonly token: string;
  /** `wait-for-event`, as the code of the run would call it; with the token of a later dispatch where one is given. */
  wait(eventKey: string, options?: object, token?: string): Promise<Answer>;
  /** Another call of the run's code, such as `POST progress`. */
  report(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  read(): Promise<any>;
  /** The n-th dispatch, from 1, when it has come. */
  dispatch(n: number): Promise<Dispatch>;
  /** Resolves with the run when it has the status. */
  // biome-ignore lint/suspicious/noExplicitAny: as for Answer.body
  is(status: string): Promise<any>;
}

export interface ParkedRun extends Run {
  readonly trigger: Answer["body"];
}

/** What a check sees of the server under test. Everything in it belongs to this check alone. */
export interface World extends Pick<Api, "request" | "nextUrl"> {
  readonly apiKey: string;
  /** A name or a key that no other check uses. */
  name(suffix?: string): string;
  /** Makes a job whose endpoint is `handle`; returns its slug. By default it answers 202, and the check plays its code. */
  job(handle?: Handle): Promise<{ readonly slug: string; readonly dispatches: readonly Dispatch[] }>;
  /** Triggers a run of a job that leaves its runs alone, and resolves when its first dispatch has come. */
  run(payload?: unknown): Promise<Run>;
  /** A run that waits on the key. */
  parked(eventKey: string, options?: object): Promise<ParkedRun>;
  send(eventKey: string, payload: unknown, options?: object, headers?: Record<string, string>): Promise<Answer>;
  sendPrefix(prefix: string, body: object, headers?: Record<string, string>): Promise<Answer>;
  /** The event trigger of a key. */
  event(eventKey: string): Promise<Answer>;
  cancel(eventKey: string, reason?: string): Promise<Answer>;
  /** Saves a workflow and starts a run of it. */
  workflow(steps: readonly object[], payload?: unknown): Promise<WorkflowRun>;
  stream(path: string, options?: RequestOptions): Promise<Stream>;
  /** An address that the server can POST to, and what has come there. */
  receiver(handle: Handle): { readonly url: string; readonly dispatches: readonly Dispatch[] };
  /** The same in a project of its own. Skips the check where the suite has no internal secret. */
  elsewhere(): Promise<World>;
}

export interface WorldOptions {
  readonly api: Api;
  readonly apiKey: string;
  readonly internalSecret: string | undefined;
  readonly executor: Executor;
  /** Begins every name that the check makes up. */
  readonly prefix: string;
  /** Told how to end every run, for those that wait for ever. */
  onRun(end: () => Promise<unknown>): void;
}

export const eventKeyPath = (eventKey: string) => `/v1/events/${encodeURIComponent(eventKey)}`;

export function createWorld(options: WorldOptions): World {
  const { api, apiKey, internalSecret, executor, prefix, onRun } = options;
  let names = 0;
  const name = (suffix = String(++names)) => `${prefix}-${suffix}`;
  let plain: ReturnType<World["job"]> | undefined;

  async function job(handle: Handle = () => ({ status: 202 })) {
    const slug = name(`job-${++names}`).toLowerCase();
    const { url, dispatches } = executor.serve(handle);
    const created = await api.request("POST", "/v1/jobs", { body: { name: slug, slug, endpoint_url: url } });
    same(created.status, 201, `the status of making a job (${JSON.stringify(created.body)})`);
    return { slug, dispatches };
  }

  async function run(payload: unknown = {}): Promise<Run> {
    plain ??= job();
    const { slug, dispatches } = await plain;
    const triggered = await api.request("POST", `/v1/jobs/${slug}/trigger`, { body: { payload } });
    same(triggered.status, 201, `the status of triggering a run (${JSON.stringify(triggered.body)})`);
    const { id, run_token: token } = triggered.body;
    onRun(() => api.request("DELETE", `/v1/runs/${id}`));
    const dispatch = (n: number) =>
      eventually(`dispatch ${n} of a run`, async () => dispatches.filter(({ runId }) => runId === id)[n - 1]);
    const read = async () => (await api.request("GET", `/v1/runs/${id}`)).body;
    const report: Run["report"] = (method, path, options) =>
      api.request(method, `/sdk/v1/runs/${id}/${path}`, { token, ...options });
    await dispatch(1);
    return {
      id,
      token,
      report,
      read,
      dispatch,
      wait: (event_key, options = {}, by = token) =>
        report("POST", "wait-for-event", { token: by, body: { event_key, ...options } }),
      is: (status) =>
        eventually(`a run that is ${status}`, async () => {
          const now = await read();
          return now.status === status ? now : undefined;
        }),
    };
  }

  return {
    request: api.request,
    nextUrl: api.nextUrl,
    apiKey,
    name,
    job,
    run,
    async parked(eventKey, options) {
      const parked = await run();
      const { status, body } = await parked.wait(eventKey, options);
      has({ status, body }, { status: 200, body: { status: "waiting" } }, "wait-for-event");
      return { ...parked, trigger: body };
    },
    send: (eventKey, payload, options = {}, headers = {}) =>
      api.request("POST", `${eventKeyPath(eventKey)}/send`, { body: { payload, ...options }, headers }),
    sendPrefix: (of, body, headers = {}) =>
      api.request("POST", `/v1/events/prefix/${encodeURIComponent(of)}/send`, { body, headers }),
    event: (eventKey) => api.request("GET", eventKeyPath(eventKey)),
    cancel: (eventKey, reason) =>
      api.request(
        "DELETE",
        `${eventKeyPath(eventKey)}${reason === undefined ? "" : `?reason=${encodeURIComponent(reason)}`}`,
      ),
    async workflow(steps, payload = {}) {
      const started = await startWorkflow(api, name(`workflow-${++names}`).toLowerCase(), steps, payload);
      onRun(() => api.request("DELETE", `/v1/workflow-runs/${started.id}`));
      return started;
    },
    stream: async (path, options) => readStream(await api.fetch("GET", path, options)),
    receiver: (handle) => executor.serve(handle),
    async elsewhere() {
      if (internalSecret === undefined) throw new Skipped("needs another project: give --internal-secret");
      const { apiKey: key } = await createProject({ url: api.nextUrl(), internalSecret }, name("elsewhere"));
      return createWorld({ ...options, api: api.withKey(key), apiKey: key });
    },
  };
}
