import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { advanceClock } from "./clock.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

/** From now on an hour passes between the look at a wait and the statement that ends it. */
async function passAnHourBeforeEnds({ db }: TestServer): Promise<void> {
  await db.query({
    text: `CREATE OR REPLACE FUNCTION strait_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
      SELECT statement_timestamp()
        + CASE WHEN current_query() LIKE '%UPDATE event_triggers t SET status%' THEN interval '1 hour' ELSE '0' END $$`,
    values: [],
  });
}

const statusOf = async (strait: TestServer, id: string) => {
  const [row] = await strait.db.query<{ status: string }>(sql`SELECT status FROM event_triggers WHERE id = ${id}`);
  return row?.status;
};

const eventsOf = (strait: TestServer) => strait.db.query(sql`SELECT trigger_id, disposition FROM sends ORDER BY id`);

describe("a deadline that comes between the look at a wait and its end", () => {
  test("R2 the deadline decides: the send is late, and so are those that came with it", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = (await stage.parked("k", { timeout_secs: 1_800, payload_schema: { type: "number" } })).trigger.id;
    await passAnHourBeforeEnds(strait);

    const answers = await Promise.all([send(strait, "k", 1), send(strait, "k", 1), send(strait, "k", 2)]);

    for (const { status, body } of answers) expect([status, body.error?.code]).toEqual([409, "wait_closed"]);
    expect(await statusOf(strait, run)).toBe("timed_out");
    expect(await eventsOf(strait)).toEqual(answers.map(() => ({ trigger_id: run, disposition: "late" })));
  });

  test("U2 R2 of waits that share a key those in time are answered, and the answer shows one of them", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const patient = (await stage.parked("k", { timeout_secs: null })).trigger.id;
    const hasty = (await stage.parked("k", { timeout_secs: 1_800, on_conflict: "join" })).trigger.id;
    await passAnHourBeforeEnds(strait);

    const answer = await send(strait, "k", "yes");

    expect(answer).toMatchObject({
      status: 200,
      body: { id: patient, status: "received", disposition: "delivered", response_payload: "yes" },
    });
    expect(await statusOf(strait, patient)).toBe("received");
    expect(await statusOf(strait, hasty)).toBe("timed_out");
    expect(await eventsOf(strait)).toEqual([{ trigger_id: patient, disposition: "delivered" }]);
    expect((await eventOf(strait, "k")).body.id).toBe(patient);
    expect(await send(strait, "k", "yes")).toMatchObject({ status: 200, body: { disposition: "duplicate" } });
  });

  test("U2 S5 R2 a rejection of waits that share a key is recorded with one that was in time", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const patient = (await stage.parked("k", { timeout_secs: null })).trigger.id;
    await stage.parked("k", { timeout_secs: 1_800, on_conflict: "join" });
    await passAnHourBeforeEnds(strait);

    const reject = () => strait.request("POST", "/v1/events/k/reject", { body: { reason: "no" } });
    const first = await reject();
    await advanceClock(strait.db, 3_600_000);
    const second = await reject();

    expect([first.body.id, first.body.disposition]).toEqual([patient, "delivered"]);
    expect([second.body.id, second.body.disposition]).toEqual([patient, "duplicate"]);
    expect(await eventsOf(strait)).toEqual([
      { trigger_id: patient, disposition: "delivered" },
      { trigger_id: patient, disposition: "duplicate" },
    ]);
  });
});

describe("the task that acts on deadlines", () => {
  test("R2 tells of each kind of waits as it ends them, though the next fails", async () => {
    const strait = await startServer({ runsEngine: false });
    const stage = await startWorkflowStage(strait, [
      { step_ref: "nap", type: "sleep", sleep_duration: "10s" },
      { step_ref: "answer", type: "wait_for_event", event_key: "k", timeout_secs: 10 },
    ]);
    await stage.trigger();
    const refusal =
      "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not now''; END'";
    await strait.db.query({ text: refusal, values: [] });
    await strait.db.query(sql`
      CREATE TRIGGER refuse BEFORE UPDATE ON event_triggers
      FOR EACH ROW WHEN (NEW.status = 'timed_out') EXECUTE FUNCTION refuse()`);
    await advanceClock(strait.db, 20_000);

    await expect(strait.tick("settle-due-waits")).rejects.toThrow("not now");

    expect(await strait.server.context.metrics.read()).toMatch(/_total\{status="received"\} 1/);
  });
});
