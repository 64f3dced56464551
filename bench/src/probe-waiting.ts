import pg from "pg";
import { PROJECT_ID } from "../sketch/statements.ts";
import { FILL, INDEXES, SCHEMA, SEND_PREFIX } from "../sketch/waiting.ts";
import { startMeasuring } from "./cpu.ts";
import { type ApiClient, apiClient } from "./http.ts";
import { type OurServer, startOurs } from "./ours.ts";
import { atMost, type Finding, type Probe } from "./probe.ts";
import { median } from "./statistics.ts";
import type { Store } from "./store.ts";

const FEW = 1_000;
/** Requests of a kind that count. */
const TIMES = 200;
/** Those before them, by which all code is compiled and every statement planned. */
const WARM_UPS = 200;
const REQUESTS = WARM_UPS + TIMES;
const BATCH = 10_000;
/** How often a prefix of `BATCH` is sent to; the first time is a warm-up. */
const BATCHES = 9;
/** The bar of 300 ms, by the 97 ms that the design's statement took among 1,000,000 waiting when it was set. */
const PREFIX_BAR = 3.1;

/** What a page, the counts, a send and a scan cost when very many wait, beside what they cost when few do. */
export const waiting: Probe = {
  title: "very many that wait",
  run({ store, nodeArgs, isQuick }) {
    const many = isQuick ? 100_000 : 1_000_000;
    return withCrowd(store, nodeArgs, many, async (all) => {
      const compared = await withCrowd(store, nodeArgs, FEW, (few) => compare(few, all));
      const due = await medianOf(() => all.db.query(DUE));
      for (let n = 0; n < BATCHES; n++) await all.park(`batch${n}`, BATCH);
      const prefixes = await store.withDatabase(async (url) => {
        const design = await openDesign(url, many);
        try {
          const ours: Spent[] = [];
          const theirs: Spent[] = [];
          for (let n = 0; n < BATCHES; n++) {
            const contenders = [
              { spent: ours, send: () => sendPrefix(all.api, `batch${n}:`) },
              { spent: theirs, send: () => design.query(SEND_PREFIX, [PROJECT_ID, `batch${n}:%`, '{"ok":1}']) },
            ];
            for (const { spent, send } of n % 2 === 0 ? contenders : contenders.toReversed()) {
              const costs = await spentBy(store, send);
              if (n > 0) spent.push(costs);
            }
          }
          return { ours, theirs };
        } finally {
          await design.end();
        }
      });
      return [
        ...compared,
        { label: "scan for deadlines, none due", value: ms(due), bar: atMost(due, 1, " ms") },
        ...prefixFindings(prefixes.ours, prefixes.theirs),
      ];
    });
  },
};

/** Milliseconds. */
interface Spent {
  readonly wall: number;
  readonly store: number;
}

async function spentBy(store: Store, work: () => Promise<unknown>): Promise<Spent> {
  const stop = startMeasuring(store.pid);
  await work();
  const { seconds, cpu } = stop();
  return { wall: seconds * 1_000, store: (cpu?.store ?? Number.NaN) * 1_000 };
}

async function sendPrefix(api: ApiClient, prefix: string): Promise<void> {
  const sent = JSON.parse(await api.post(`/v1/events/prefix/${prefix}/send`, { payload: { ok: 1 }, limit: BATCH }));
  if (sent.has_more) throw new Error("a page of the prefix was not enough");
}

/** CPU is counted in steps of 10 ms, so it is the mean that is compared. */
function prefixFindings(ours: readonly Spent[], theirs: readonly Spent[]): Finding[] {
  const ratio = meanOf(ours) / meanOf(theirs);
  return [
    {
      label: `send to a prefix of ${BATCH.toLocaleString("en-US")}, until answered`,
      value: ms(median(ours.map(({ wall }) => wall))),
    },
    {
      label: "  of which CPU of the store",
      value: ms(meanOf(ours)),
    },
    {
      label: "  beside what the design's one statement takes",
      value: `${ratio.toFixed(2)} (${ms(meanOf(theirs))})`,
      bar: atMost(ratio, PREFIX_BAR),
    },
  ];
}

const meanOf = (spent: readonly Spent[]): number => spent.reduce((sum, { store }) => sum + store, 0) / spent.length;

/** The tables of the design's statement, with as many that wait and the same batches. */
async function openDesign(url: string, many: number): Promise<pg.Client> {
  const db = new pg.Client({ connectionString: url });
  await db.connect();
  // Or it might read all runs once, which is dear where a million wait.
  await db.query("SET enable_hashjoin = off; SET enable_mergejoin = off");
  await db.query(SCHEMA);
  await db.query(FILL, [PROJECT_ID, "point:", many, 0]);
  for (let n = 0; n < BATCHES; n++) await db.query(FILL, [PROJECT_ID, `batch${n}:`, BATCH, many + n * BATCH]);
  await db.query(INDEXES);
  await db.query("VACUUM ANALYZE runs, triggers");
  await db.query("CHECKPOINT");
  return db;
}

/** A server of its own, on a database of its own in which `size` runs wait, and as many more as are sent to. */
interface Crowd {
  readonly size: number;
  readonly api: ApiClient;
  readonly db: pg.Client;
  /** Has so many more runs wait, for `<kind>:0000000` and so on. */
  park(kind: string, count: number): Promise<void>;
}

async function withCrowd<Result>(
  store: Store,
  nodeArgs: readonly string[],
  size: number,
  use: (crowd: Crowd) => Promise<Result>,
): Promise<Result> {
  return store.withDatabase(async (databaseUrl) => {
    // Nothing is dispatched: only what a request costs is of interest.
    const server = await startOurs(databaseUrl, nodeArgs, { MODE: "api" });
    const api = apiClient(server.origin, `Bearer ${server.apiKey}`, false);
    const db = new pg.Client({ connectionString: databaseUrl });
    await db.connect();
    try {
      const job = await api.post("/v1/jobs", { name: "Bench", slug: "bench", endpoint_url: "http://127.0.0.1:1/" });
      const { id: jobId } = JSON.parse(job);
      const park = (kind: string, count: number) => parkRuns(db, server, jobId, kind, count);
      await park("point", size + REQUESTS);
      return await use({ size, api, db, park });
    } finally {
      await db.end();
      await api.close();
      await server.stop();
    }
  });
}

/** As `settle-due-waits` looks. */
const DUE =
  "SELECT id FROM event_triggers WHERE status = 'waiting' AND closes_at <= strait_now() ORDER BY closes_at LIMIT 100";

/** The sends come last: what has ended since the last VACUUM makes the other two dearer, more so where few wait. */
const requests: Readonly<Record<string, (crowd: Crowd, i: number) => Promise<unknown>>> = {
  "a page of a list": ({ api }) => api.get("/v1/events?status=waiting&prefix=point:&limit=50"),
  "the counts of all": ({ api }) => api.get("/v1/events/stats"),
  // To keys that are far apart, as those of different senders are.
  "send to one of them": ({ api, size }, i) =>
    api.post(`/v1/events/point:${number(Math.floor((i * (size + REQUESTS)) / REQUESTS))}/send`, { payload: { ok: 1 } }),
};

/** Request by request in turn, so that whatever else the machine does meets both. */
async function compare(few: Crowd, many: Crowd): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const [label, request] of Object.entries(requests)) {
    const amongMany = { crowd: many, times: [] as number[] };
    const amongFew = { crowd: few, times: [] as number[] };
    for (let i = 0; i < REQUESTS; i++) {
      for (const { crowd, times } of i % 2 === 0 ? [amongFew, amongMany] : [amongMany, amongFew]) {
        const time = await timeOf(() => request(crowd, i));
        if (i >= WARM_UPS) times.push(time);
      }
    }
    const [before, after] = [median(amongFew.times), median(amongMany.times)];
    findings.push({
      label: `${label}, ${many.size.toLocaleString("en-US")} waiting beside ${few.size.toLocaleString("en-US")}`,
      value: `${(after / before).toFixed(2)} (${ms(after)} beside ${ms(before)})`,
      bar: atMost(after / before, 1.5),
    });
  }
  return findings;
}

/** Milliseconds. */
async function timeOf(work: () => Promise<unknown>): Promise<number> {
  const startedAt = performance.now();
  await work();
  return performance.now() - startedAt;
}

async function medianOf(work: () => Promise<unknown>): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < TIMES; i++) times.push(await timeOf(work));
  return median(times);
}

/** As the database pads it below: real ids ascend, too. */
const number = (n: number) => String(n).padStart(7, "0");
const ms = (value: number) => `${value.toFixed(value < 10 ? 2 : 0)} ms`;

/** Runs that wait, as if each had asked. */
async function parkRuns(
  db: pg.Client,
  { projectId, environmentId }: OurServer,
  jobId: string,
  kind: string,
  count: number,
): Promise<void> {
  const values = [projectId, environmentId, kind, count - 1];
  const numbers = "(SELECT lpad(i::text, 7, '0') AS n FROM generate_series(0, $4::int) AS i) AS numbers";
  await db.query(
    `INSERT INTO runs (project_id, id, environment_id, job_id, job_version, status, max_attempts, dispatch_seq, payload, triggered_by)
     SELECT $1, 'run_' || $3 || n, $2, $5, 1, 'waiting', 3, 1, '{}', 'manual' FROM ${numbers}`,
    [...values, jobId],
  );
  await db.query(
    `INSERT INTO event_keys (project_id, environment_id, event_key, generation, latest_trigger_id)
     SELECT $1, $2, $3 || ':' || n, 1, 'trg_' || $3 || n FROM ${numbers}`,
    values,
  );
  await db.query(
    `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, job_run_id,
       timeout_secs, expires_at, closes_at, on_timeout, on_cancel)
     SELECT $1, 'trg_' || $3 || n, $2, $3 || ':' || n, 1, 'job_run', 'event', 'run_' || $3 || n, 86400,
       strait_now() + interval '1 day', strait_now() + interval '1 day', 'fail', 'fail' FROM ${numbers}`,
    values,
  );
  await db.query("VACUUM ANALYZE runs, event_keys, event_triggers");
  // So that what was written here is not written out during a measurement.
  await db.query("CHECKPOINT");
}
