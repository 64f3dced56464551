// The sketch of the server: the least that does the same durable work, to show what the design can reach on a machine.
// An API over HTTP, PostgreSQL, and an HTTP POST to the user's endpoint; every enqueue, completion and event that is
// acknowledged has been committed, statements take what has piled up, and a run is inserted (or resumed) as already claimed
// while there is room and no backlog.
//
// It is NOT a server to use. It has no retries, leases, limits, workflows, timeouts, history, projects or validation, a run
// that is lost stays lost, and what fails is not handled. The benchmark runs the real server beside it, and the ratio says
// what all of that costs. Its hot path must stay as it is, or ratios of different days cannot be compared.

import { createHash, createHmac } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import pg from "pg";
import { Pool } from "undici";
import { Batcher } from "./batcher.ts";
import {
  DEQUEUE,
  FINISH,
  INSERT_QUEUED,
  INSERT_STARTED,
  PARK,
  PROJECT_ID,
  SCHEMA,
  SEND_QUEUED,
  SEND_STARTED,
} from "./statements.ts";

interface NewRun {
  readonly endpoint: string;
  readonly payload: string;
}

interface StartedRun extends NewRun {
  readonly id: string;
  readonly attempt: number;
  readonly checkpoint?: string | null;
}

interface Event {
  readonly key: string;
  readonly payload: string;
}

const TOKEN_KEY = "k".repeat(32);
const API_KEY_HASH = createHash("sha256").update("key").digest("hex");
/** How many runs are under way at once. */
const ROOM = 256;

const pool = new pg.Pool({
  connectionString: process.env.DATABASE_URL,
  max: 5,
  // On PostgreSQL 18 a plan made for the empty table sometimes stays, and is a sequential scan of the full one.
  options: "-c enable_seqscan=off",
});
await pool.query(SCHEMA);

async function query<Row>(name: string, text: string, values: unknown[]): Promise<Row[]> {
  return (await pool.query({ name, text, values })).rows;
}

/** Whether the queue may hold something; a pull that finds nothing takes the flag down. */
let backlog = true;
/** Runs under way, and those that are being inserted as such. */
let flying = 0;
let claimed = 0;

const hasRoom = (count: number) => !backlog && flying + claimed + count <= ROOM;

const columnsOf = (runs: readonly NewRun[]) => [
  runs.map(() => PROJECT_ID),
  runs.map((run) => run.endpoint),
  runs.map((run) => run.payload),
];

async function insert(runs: NewRun[]): Promise<{ id: string }[]> {
  if (!hasRoom(runs.length)) return insertQueued(runs);
  claimed += runs.length;
  try {
    const rows = await query<{ id: string }>("insert-started", INSERT_STARTED, columnsOf(runs));
    for (const [index, { id }] of rows.entries()) {
      const run = runs[index];
      if (run) dispatch({ ...run, id, attempt: 1 });
    }
    return rows;
  } finally {
    claimed -= runs.length;
  }
}

async function insertQueued(runs: NewRun[]): Promise<{ id: string }[]> {
  const rows = await query<{ id: string }>("insert-queued", INSERT_QUEUED, columnsOf(runs));
  // After the commit: a pull that ended meanwhile, having found nothing, would take the flag down, and nobody would look.
  backlog = true;
  return rows;
}

async function deliver(events: Event[]): Promise<[]> {
  const values = [events.map((event) => event.key), events.map((event) => event.payload)];
  if (hasRoom(events.length)) {
    for (const run of await query<StartedRun>("send-started", SEND_STARTED, values)) dispatch(run);
  } else {
    await query("send-queued", SEND_QUEUED, values);
    backlog = true;
  }
  return [];
}

const enqueue = new Batcher<NewRun, { id: string }>(insert);
const send = new Batcher<Event, void>(deliver);
const finish = new Batcher<{ id: string; result: string }, void>((runs) =>
  query("finish", FINISH, [runs.map((run) => run.id), runs.map((run) => run.result)]),
);
const park = new Batcher<{ id: string; key: string }, void>((runs) =>
  query("park", PARK, [runs.map((run) => run.id), runs.map((run) => run.key)]),
);

let pulling = false;
let pullAgain = false;
/** Entries before this time have been taken: the scan starts here, past the dead ones. */
let floor = new Date(0);

async function pull(): Promise<void> {
  if (pulling) {
    pullAgain = true;
    return;
  }
  pulling = true;
  try {
    while (flying < ROOM) {
      pullAgain = false;
      const rows = await query<StartedRun & { run_at: Date }>("dequeue", DEQUEUE, [
        Math.min(ROOM - flying, 200),
        floor,
      ]);
      if (rows.length === 0) {
        if (floor.getTime() > 0) {
          floor = new Date(0);
          continue;
        }
        if (pullAgain) continue;
        backlog = false;
        break;
      }
      floor = new Date(Math.min(...rows.map((row) => row.run_at.getTime())) - 1000);
      for (const run of rows) dispatch(run);
    }
  } finally {
    pulling = false;
  }
}

const JWT_HEADER = Buffer.from('{"alg":"HS256","typ":"JWT"}').toString("base64url");

function runToken(id: string): string {
  const content = `${JWT_HEADER}.${Buffer.from(`{"sub":"${id}","exp":9999999999}`).toString("base64url")}`;
  return `${content}.${createHmac("sha256", TOKEN_KEY).update(content).digest("base64url")}`;
}

const executors = new Map<string, Pool>();

function executorAt(origin: string): Pool {
  let executor = executors.get(origin);
  if (!executor) {
    executor = new Pool(origin, { connections: 64 });
    executors.set(origin, executor);
  }
  return executor;
}

function dispatch(run: StartedRun): void {
  flying++;
  const url = new URL(run.endpoint);
  const checkpoint = run.checkpoint ? `,"checkpoint":${run.checkpoint}` : "";
  const body = `{"run_id":"${run.id}","attempt":${run.attempt},"payload":${run.payload}${checkpoint}}`;
  let result = "";
  let status = 0;
  const end = (error?: Error) => {
    flying--;
    if (!error && status === 200) finish.add({ id: run.id, result: result || "null" }).catch(report);
    if (backlog && flying < ROOM / 2) void pull();
  };
  const headers = { "content-type": "application/json", authorization: `Bearer ${runToken(run.id)}` };
  executorAt(url.origin).dispatch(
    { method: "POST", path: url.pathname, headers, body },
    {
      onRequestStart() {},
      onResponseStart(_controller, statusCode) {
        status = statusCode;
      },
      onResponseData(_controller, chunk) {
        result += chunk;
      },
      onResponseEnd: () => end(),
      onResponseError: (_controller, error) => end(error),
    },
  );
}

function report(error: Error): void {
  process.stderr.write(`${error.message}\n`);
}

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Work that may be in the queue now, and that nobody else looks for. */
  readonly mayPull?: boolean;
}

async function answer(url: string, authorization: string | undefined, text: string): Promise<Answer> {
  const keyHash = createHash("sha256")
    .update(authorization?.slice("Bearer ".length) ?? "")
    .digest("hex");
  if (keyHash !== API_KEY_HASH) return { status: 401, body: "{}" };

  const body = text === "" ? {} : JSON.parse(text);
  if (url === "/v1/jobs/bench/trigger") {
    const run = await enqueue.add({ endpoint: body.endpoint, payload: JSON.stringify(body.payload) });
    return { status: 202, body: `{"id":"${run.id}"}`, mayPull: true };
  }
  const [, api, resource, name = "", action, detail] = url.split("/");
  if (resource === "events" && action === "send") {
    await send.add({ key: decodeURIComponent(name), payload: JSON.stringify(body.payload) });
    return { status: 200, body: '{"status":"received"}', mayPull: true };
  }
  if (api === "sdk" && detail === "wait-for-event") {
    await park.add({ id: action ?? "", key: body.event_key });
    return { status: 202, body: "{}" };
  }
  return { status: 404, body: "{}" };
}

const server = createServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", async () => {
    const text = chunks.length === 1 ? String(chunks[0]) : Buffer.concat(chunks).toString();
    const { status, body, mayPull } = await answer(request.url ?? "", request.headers.authorization, text).catch(
      (error: Error): Answer => ({ status: 500, body: JSON.stringify({ error: error.message }) }),
    );
    response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(body) });
    response.end(body);
    if (mayPull && backlog) void pull();
  });
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  process.stdout.write(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

setInterval(pull, 100).unref();
process.once("SIGTERM", () => process.exit(0));
