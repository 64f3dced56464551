import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { blockedSessions } from "./given.ts";
import { type Answer, eventually, startServer, type TestServer } from "./server.ts";
import { eventOf, hold, type StagedRun, send, startStage } from "./stage.ts";

const sendPrefix = (strait: TestServer, body: object, headers: Record<string, string> = {}): Promise<Answer> =>
  strait.request("POST", "/v1/events/prefix/key%3A/send", { body, headers });

const waitForEvents = (strait: TestServer, { id, token }: StagedRun, mode: string, keys: readonly string[]) =>
  strait.request("POST", `/sdk/v1/runs/${id}/wait-for-events`, {
    token,
    body: { mode, waits: keys.map((event_key) => ({ event_key })) },
  });

const statusesOf = async (strait: TestServer) =>
  (
    await strait.db.query<{ status: string }>(sql`
      SELECT status FROM event_triggers WHERE trigger_type = 'event' ORDER BY event_key, id`)
  ).map(({ status }) => status);

/** A wait that another run joins, in a transaction that is still open: what it has written is not to be seen yet. */
async function startJoin(strait: TestServer, triggerId: string, run: StagedRun) {
  const joining = await hold(
    strait,
    sql`
    SELECT 1 FROM event_keys k JOIN event_triggers t USING (project_id, environment_id, event_key)
    WHERE t.id = ${triggerId} FOR NO KEY UPDATE OF k`,
  );
  await joining.query(sql`UPDATE event_triggers SET slot = id WHERE id = ${triggerId}`);
  await joining.query(sql`
    INSERT INTO event_triggers (project_id, id, environment_id, event_key, generation, slot, source_type, trigger_type,
      job_run_id, timeout_secs, expires_at, closes_at)
    SELECT project_id, ${`${triggerId.slice(0, -1)}~`}, environment_id, event_key, generation, 'beside', source_type, trigger_type,
      ${run.id}, timeout_secs, expires_at, closes_at
    FROM event_triggers WHERE id = ${triggerId}`);
  return joining;
}

describe("a wait that is joined while its prefix is sent to", () => {
  for (const mode of ["each", "atomic"]) {
    test(`U2 P3 is answered with the one that has joined it, under ${mode}`, async () => {
      const strait = await startServer();
      const stage = await startStage(strait);
      const first = await stage.parked("key:a");
      const joining = await startJoin(strait, first.trigger.id, await stage.run());

      const sending = sendPrefix(strait, { payload: "yes", mode });
      await eventually(async () => (await blockedSessions(strait)) === 1);
      await joining.release();
      const sent = await sending;

      expect(sent.body).toMatchObject({ resolved: 1, skipped: [] });
      expect(await statusesOf(strait)).toEqual(["received", "received"]);
      expect(await strait.db.query(sql`SELECT disposition FROM sends`)).toEqual([{ disposition: "delivered" }]);
    });
  }
});

describe("an atomic send to several waits of one group", () => {
  test("P3 R8 is refused when fewer answers decide the group, and changes nothing", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const group = await waitForEvents(strait, await stage.run(), "any", ["key:a", "key:b"]);

    const refused = await sendPrefix(strait, { payload: 1, mode: "atomic" });

    expect(refused).toMatchObject({
      status: 409,
      body: { error: { code: "expectation_failed", details: { group_id: group.body.trigger_id } } },
    });
    expect(refused.body.error.message).toContain('send with mode "each", or narrow the prefix');
    expect(await statusesOf(strait)).toEqual(["waiting", "waiting"]);
  });

  test("P3 R8 answers them all when the group takes as many", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const run = await stage.run();
    await waitForEvents(strait, run, "all", ["key:a", "key:b", "other"]);
    await send(strait, "other", 0);

    const sent = await sendPrefix(strait, { payload: 1, mode: "atomic" });

    expect(sent.body).toMatchObject({ resolved: 2, skipped: [] });
    await run.dispatch(2);
    expect((await eventOf(strait, "key:b")).body.status).toBe("received");
  });

  test("P3 R8 skips under each what the first answer has closed", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await waitForEvents(strait, await stage.run(), "any", ["key:a", "key:b"]);

    const sent = await sendPrefix(strait, { payload: 1 }, { "idempotency-key": "once" });

    expect(sent.body).toMatchObject({ resolved: 1, skipped: [{ event_key: "key:b", code: "wait_closed" }] });
    expect(await statusesOf(strait)).toEqual(["received", "canceled"]);
  });
});
