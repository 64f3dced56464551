import { createServer as createHttpServer, type Server as HttpServer, type IncomingHttpHeaders } from "node:http";
import { onTestFinished } from "vitest";
import { createServer, type Server } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { createLog } from "../src/log.ts";
import { insertKey } from "../src/service/api-keys.ts";
import { SERVER } from "../src/service/context.ts";
import { createProject } from "../src/service/create-project.ts";
import type { Database } from "../src/store/database.ts";
import { advanceClock } from "./clock.ts";
import { freshDatabase } from "./database.ts";

const SECRETS = {
  internalSecret: "internal-secret-of-the-tests",
  jwtSigningKey: "signing-key-of-the-tests-0123456789",
  developmentApiKey: undefined,
};

export interface Answer {
  readonly status: number;
  // A test names what it expects of a body; its types are proven by the type tests.
  // biome-ignore lint/suspicious/noExplicitAny: see above
  readonly body: any;
  readonly headers: Headers;
}

export interface RequestOptions {
  readonly body?: unknown;
  /** Sent as it is, instead of `body`. */
  readonly text?: string;
  readonly headers?: Record<string, string>;
  /** An API key or a run token; null sends none. The project's full-power key by default. */
  readonly token?: string | null;
}

export interface TestServer {
  readonly server: Server;
  readonly db: Database;
  readonly databaseUrl: string;
  readonly projectId: string;
  readonly apiKey: string;
  readonly internalSecret: string;
  /** Signs run tokens. */
  readonly jwtSigningKey: string;
  fetch(method: string, path: string, options?: RequestOptions): Promise<Response>;
  request(method: string, path: string, options?: RequestOptions): Promise<Answer>;
  /** Moves the database's time and lets every task notice. */
  advance(ms: number): Promise<void>;
  /** One tick of one task, or of all of them. */
  tick(task?: string): Promise<void>;
  /** Makes another project with a full-power key of its own. */
  anotherProject(): Promise<{ projectId: string; apiKey: string }>;
  close(): Promise<void>;
}

export interface TestServerOptions {
  /** False: tasks run only when the test ticks them. */
  readonly runsEngine?: boolean;
  /** On this database instead of a fresh one: a second process. */
  readonly databaseUrl?: string;
  readonly env?: Record<string, string>;
}

/** A real server on a database of its own, driven through `fetch` without a port. */
export async function startServer(options: TestServerOptions = {}): Promise<TestServer> {
  const databaseUrl = options.databaseUrl ?? (await freshDatabase()).url;
  const config = readConfig({
    NODE_ENV: "test",
    DATABASE_URL: databaseUrl,
    DB_MAX_CONNS: "8",
    LOG_LEVEL: "error",
    STRAIT_ALLOW_PRIVATE_ENDPOINTS: "true",
    ...options.env,
  });
  const server = await createServer({
    config,
    secrets: SECRETS,
    databaseUrl,
    log: createLog(config),
    runsEngine: options.runsEngine ?? true,
  });
  let isClosed = false;
  const close = async () => {
    if (isClosed) return;
    isClosed = true;
    await server.close();
  };
  onTestFinished(close);
  const { db } = server.context;
  const own = await makeProject(server);

  const fetch = (
    method: string,
    path: string,
    { body, text, headers = {}, token = own.apiKey }: RequestOptions = {},
  ) => {
    const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
    return server.fetch(
      new Request(`http://test${path}`, {
        method,
        headers: {
          ...(token === null ? {} : { authorization: `Bearer ${token}` }),
          ...(sent === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(sent)) }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: sent }),
      }),
    );
  };

  const tick = async (name?: string) => {
    const tasks = name === undefined ? [...server.engine.tasks.values()] : [server.engine.tasks.get(name)];
    for (const task of tasks) {
      if (!task) throw new Error(`there is no task ${name}`);
      for (let busy = true; busy; ) busy = (await task.tick()).handled > 0;
    }
  };

  return {
    server,
    db,
    databaseUrl,
    ...own,
    internalSecret: SECRETS.internalSecret,
    jwtSigningKey: SECRETS.jwtSigningKey,
    fetch: async (...given) => fetch(...given),
    async request(...given) {
      const response = await fetch(...given);
      const text = await response.text();
      return { status: response.status, body: text === "" ? undefined : JSON.parse(text), headers: response.headers };
    },
    async advance(ms) {
      await advanceClock(db, ms);
      await server.context.clock.synchronize(db);
      await tick();
    },
    tick,
    anotherProject: () => makeProject(server),
    close,
  };
}

async function makeProject({ context }: Server): Promise<{ projectId: string; apiKey: string }> {
  const project = await createProject(context, SERVER, { name: "Test" });
  const key = await insertKey(context.db, context.clock.newId("key"), project.id, {
    name: "Test",
    scopes: ["*"],
    environment_id: project.default_environment_id,
    expires_in_days: null,
  });
  return { projectId: project.id, apiKey: key.key };
}

/** A dispatch as the executor receives it. */
export interface Dispatch {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly runId: string;
  readonly runToken: string;
  readonly body: unknown;
  /** The text of the body, as it was signed. */
  readonly text: string;
}

export interface ExecutorAnswer {
  readonly status?: number;
  readonly body?: unknown;
  readonly headers?: Record<string, string>;
}

export interface Executor {
  readonly url: string;
  /** Every dispatch so far, oldest first. */
  readonly dispatches: readonly Dispatch[];
  /** Resolves when `count` dispatches have come. */
  received(count: number): Promise<readonly Dispatch[]>;
}

/** A real HTTP endpoint for jobs. By default it answers 200 `{"ok":true}`. */
export async function startExecutor(
  handle: (dispatch: Dispatch) => ExecutorAnswer | Promise<ExecutorAnswer> = () => ({ body: { ok: true } }),
): Promise<Executor> {
  const dispatches: Dispatch[] = [];
  let notify = () => {};
  const http: HttpServer = createHttpServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", async () => {
      const text = Buffer.concat(chunks).toString();
      const dispatch: Dispatch = {
        path: request.url ?? "",
        headers: request.headers,
        runId: String(request.headers["x-run-id"]),
        runToken: String(request.headers["x-run-token"]),
        body: text === "" ? undefined : JSON.parse(text),
        text,
      };
      dispatches.push(dispatch);
      notify();
      const { status = 200, body, headers = {} } = await handle(dispatch);
      response.writeHead(status, { "content-type": "application/json", ...headers });
      response.end(body === undefined ? "" : JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    http.closeAllConnections();
    http.close();
  });
  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    dispatches,
    async received(count) {
      while (dispatches.length < count) {
        await new Promise<void>((resolve) => {
          notify = resolve;
        });
      }
      return dispatches;
    },
  };
}

/** Asks until `check` returns something, for at most 15 seconds: what happens by itself happens soon. */
export async function eventually<Value>(check: () => Promise<Value | undefined | false>): Promise<Value> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    const value = await check();
    if (value !== undefined && value !== false) return value;
    if (Date.now() > deadline) throw new Error("it did not happen within 15 seconds");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
