import { describe, expect, test } from "vitest";
import { freshDatabase } from "./database.ts";
import { indexesOf, plansOf, wholeScans } from "./plans.ts";
import { startServer, type TestServer } from "./server.ts";
import { recordStatements } from "./statements.ts";

const COUNT = 240;

/** What the n-th trigger is, from 1. The deadlines of younger ones are later, from the last one's back to now. */
const numbers = Array.from({ length: COUNT }, (_, index) => index + 1);
const idOf = (n: number) => `trg_${String(n).padStart(26, "0")}`;
const keyOf = (n: number) => `${n % 4 === 0 ? "order:" : n % 4 === 1 ? "ordér:" : "a%_b:"}${n % 7}`;
const waits = (n: number) => n % 3 !== 0;
const isStep = (n: number) => n % 10 === 0;
const hasDeadline = (n: number) => waits(n) && n % 2 === 0;

async function givenTriggers(strait: TestServer, projectId: string, from = 1, to = COUNT): Promise<void> {
  const chosen = numbers.filter((n) => n >= from && n <= to);
  await strait.db.query({
    text: `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, slot, source_type, trigger_type,
        status, finished_at, expires_at, closes_at, job_run_id, workflow_run_id, workflow_step_run_id)
      SELECT $1, id, 'env', key, n, n::text, CASE WHEN step THEN 'workflow_step' ELSE 'job_run' END, 'event',
        CASE WHEN waits THEN 'waiting' ELSE 'timed_out' END, CASE WHEN NOT waits THEN strait_now() END,
        due.at, due.at,
        CASE WHEN NOT step THEN 'run' END, CASE WHEN step THEN 'wfr_' || n % 20 END, CASE WHEN step THEN 'step' END
      FROM unnest($2::int[], $3::text[], $4::text[], $5::bool[], $6::bool[]) AS i (n, id, key, waits, step)
      CROSS JOIN LATERAL (SELECT CASE WHEN n % 2 = 0 THEN '2100-01-01'::timestamptz + n * interval '1 hour' END AS at) AS due`,
    values: [projectId, chosen, chosen.map(idOf), chosen.map(keyOf), chosen.map(waits), chosen.map(isStep)],
  });
}

/** The ids of a list, all pages of it. */
async function readAll(strait: TestServer, query: string, limit: number, between = async () => {}): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const { status, body } = await strait.request(
      "GET",
      `/v1/events?${query}&limit=${limit}${cursor === "" ? "" : `&cursor=${cursor}`}`,
    );
    expect(status, JSON.stringify(body)).toBe(200);
    ids.push(...body.data.map((row: { id: string }) => row.id));
    cursor = body.next_cursor;
    await between();
  }
  return ids;
}

const newestFirst = (chosen: number[]) => chosen.toReversed().map(idOf);
const nearestFirst = (chosen: number[]) => chosen.map(idOf);
const inOrderOfKeys = (chosen: number[]) =>
  chosen.toSorted((a, b) => Buffer.compare(Buffer.from(keyOf(a)), Buffer.from(keyOf(b))) || a - b).map(idOf);

const ORDER = `prefix=${encodeURIComponent("order:")}`;
const WINDOW = "expires_after=2100-01-02T00:00:00Z&expires_before=2100-01-06T00:00:00Z";
const isInWindow = (n: number) => hasDeadline(n) && n >= 24 && n < 120;

const filters: readonly [query: string, index: string, ids: string[]][] = [
  ["", "event_triggers_pkey", newestFirst(numbers)],
  ["status=waiting", "event_triggers_by_status", newestFirst(numbers.filter(waits))],
  ["status=timed_out", "event_triggers_by_status", newestFirst(numbers.filter((n) => !waits(n)))],
  ["source_type=workflow_step", "event_triggers_pkey", newestFirst(numbers.filter(isStep))],
  ["workflow_run_id=wfr_0", "event_triggers_of_workflow_run", newestFirst(numbers.filter((n) => n % 20 === 0))],
  [ORDER, "event_triggers_by_key", inOrderOfKeys(numbers.filter((n) => n % 4 === 0))],
  [
    `prefix=${encodeURIComponent("ord\u0065\u0301r:")}`,
    "event_triggers_by_key",
    inOrderOfKeys(numbers.filter((n) => n % 4 === 1)),
  ],
  [
    `prefix=${encodeURIComponent("a%_b:")}&status=waiting`,
    "event_triggers_by_key",
    inOrderOfKeys(numbers.filter((n) => n % 4 > 1 && waits(n))),
  ],
  [WINDOW, "event_triggers_by_deadline", nearestFirst(numbers.filter(isInWindow))],
  [
    "expires_before=2100-01-06T02:00:00%2B02:00&status=waiting",
    "event_triggers_by_deadline",
    nearestFirst(numbers.filter((n) => hasDeadline(n) && n < 120)),
  ],
  [
    "expires_after=2100-01-06T00:00:00Z",
    "event_triggers_by_deadline",
    nearestFirst(numbers.filter((n) => hasDeadline(n) && n >= 120)),
  ],
  [
    `${WINDOW}&${ORDER}&source_type=job_run`,
    "event_triggers_by_deadline",
    nearestFirst(numbers.filter((n) => isInWindow(n) && n % 4 === 0 && !isStep(n))),
  ],
];

describe("listing event triggers", () => {
  test.each(filters)("by %j shows exactly those, in pages of any size", async (query, _index, ids) => {
    const strait = await startServer({ runsEngine: false });
    const other = await strait.anotherProject();
    await givenTriggers(strait, strait.projectId);
    await givenTriggers(strait, other.projectId);

    const [small, large] = [await readAll(strait, query, 7), await readAll(strait, query, 100)];

    expect(ids.length).toBeGreaterThan(0);
    expect(small).toEqual(ids);
    expect(large).toEqual(ids);
  });

  test.each([ORDER, WINDOW, "status=waiting"])("by %j shows each once while others arrive", async (query) => {
    const strait = await startServer({ runsEngine: false });
    await givenTriggers(strait, strait.projectId, 1, 160);
    const before = await readAll(strait, query, 100);
    let next = 161;

    const ids = await readAll(strait, query, 5, async () => {
      if (next > COUNT) return;
      await givenTriggers(strait, strait.projectId, next, next + 9);
      next += 10;
    });

    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.filter((id) => before.includes(id))).toEqual(before);
  });

  test("a cursor of another order, or one that was made up, is refused", async () => {
    const strait = await startServer({ runsEngine: false });
    await givenTriggers(strait, strait.projectId);
    const { body } = await strait.request("GET", `/v1/events?${ORDER}&limit=2`);
    const made = (text: string) => Buffer.from(text).toString("base64url");

    const answers = await Promise.all([
      strait.request("GET", `/v1/events?cursor=${body.next_cursor}`),
      strait.request("GET", `/v1/events?${WINDOW}&cursor=${body.next_cursor}`),
      strait.request("GET", `/v1/events?${ORDER}&cursor=${made(`events by key:${idOf(1)} a\u0000`)}`),
      strait.request(
        "GET",
        `/v1/events?${WINDOW}&cursor=${made(`events by deadline:2100-02-30T00:00:00.000000Z ${idOf(1)}`)}`,
      ),
    ]);

    for (const answer of answers) {
      expect(answer.status).toBe(400);
      expect(answer.body.error.details.issues).toMatchObject([{ field: "/query/cursor", rule: "cursor" }]);
    }
  });

  test("a deadline window of what has ended is refused, since only what waits has a deadline ahead", async () => {
    const strait = await startServer({ runsEngine: false });

    const ended = await strait.request("GET", "/v1/events?status=timed_out&expires_before=2100-01-01T00:00:00Z");
    const broken = await strait.request("GET", "/v1/events?expires_after=tomorrow");

    expect(ended.body.error).toMatchObject({
      code: "validation_error",
      details: { issues: [{ field: "/query/status", rule: "waitingWithDeadline" }] },
    });
    expect(broken.body.error.details.issues).toMatchObject([{ field: "/query/expires_after", rule: "format" }]);
  });
});

describe("Q5 a list reads the index of its filter", () => {
  test("once the planner knows the tables, and never a whole one", async () => {
    const strait = await startServer({ runsEngine: false });
    const recorded = recordStatements();
    const statements = new Map<string, string>();
    for (const [query, index] of filters) {
      for (const cursor of ["", await cursorOf(strait, query)]) {
        recorded.length = 0;
        await strait.request("GET", `/v1/events?${query}${cursor}`);
        const [text] = recorded.map((sent) => sent.text).filter((sent) => /FROM event_triggers t/.test(sent));
        statements.set(text ?? query, index);
      }
    }
    const empty = await freshDatabase();
    const filled = await startServer({ databaseUrl: (await freshDatabase()).url, runsEngine: false });
    await fill(filled);

    const texts = [...statements.keys()];
    const [young, old] = [await plansOf(empty.url, texts), await plansOf(filled.databaseUrl, texts)];

    expect(texts.length).toBeGreaterThan(12);
    expect([...young.values()].flatMap((plan) => wholeScans(plan))).toEqual([]);
    expect(new Map([...old].map(([text, plan]) => [text, indexesOf(plan).join()]))).toEqual(statements);
  });
});

/** A cursor of this order, which need not be one that a page gave. */
async function cursorOf(strait: TestServer, query: string): Promise<string> {
  await givenTriggers(strait, strait.projectId);
  const { body } = await strait.request("GET", `/v1/events?${query}&limit=1`);
  await strait.db.query({ text: "DELETE FROM event_triggers", values: [] });
  return `&cursor=${body.next_cursor}`;
}

/** As many triggers as make a wrong plan expensive, in projects of which most have few that wait. */
async function fill(strait: TestServer): Promise<void> {
  for (const text of [
    `INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, source_type, trigger_type, status,
        received_at, finished_at, expires_at, closes_at, job_run_id, workflow_run_id, workflow_step_run_id)
      SELECT 'p' || n % 20, 'trg_' || n, 'e', 'k:' || n, 1, CASE WHEN n % 5 = 0 THEN 'workflow_step' ELSE 'job_run' END, 'event',
        CASE WHEN n % 50 = 0 THEN 'timed_out' WHEN n % 7 = 0 THEN 'waiting' ELSE 'received' END,
        CASE WHEN n % 50 <> 0 AND n % 7 <> 0 THEN strait_now() END,
        CASE WHEN n % 50 = 0 OR n % 7 <> 0 THEN strait_now() END, strait_now() + n * interval '1 minute', strait_now() + n * interval '1 minute',
        CASE WHEN n % 5 <> 0 THEN 'run' || n END, CASE WHEN n % 5 = 0 THEN 'wfr' || n / 30 END,
        CASE WHEN n % 5 = 0 THEN 'step' END
      FROM generate_series(1, 30000) AS n`,
    "ANALYZE",
  ]) {
    await strait.db.query({ text, values: [] });
  }
}
