import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { advanceClock } from "./clock.ts";
import { startServer, type TestServer } from "./server.ts";
import { eventOf, send } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

/** The guide's workflow, whose waits are what there is to purge. */
const kyc = new URL("../../../examples/curl/guide/kyc-onboarding.json", import.meta.url);
const { steps }: { steps: object[] } = JSON.parse(readFileSync(kyc, "utf8"));

const DAY_MS = 86_400_000;

const purge = async (strait: TestServer, body: object) =>
  (await strait.request("POST", "/v1/events/purge", { body: { older_than_days: 90, ...body } })).body;

/** Two customers whose checks have ended, one with an answer and one without. */
async function startKyc(env: Record<string, string>) {
  const strait = await startServer({ env });
  const stage = await startWorkflowStage(strait, steps, { slug: "kyc-onboarding" });
  const answered = await stage.trigger({ user_id: "user-456" });
  const ignored = await stage.trigger({ user_id: "user-789" });
  for (const run of [answered, ignored]) await run.step("aml-check", "waiting");
  await send(strait, "aml:user-456", { result: "clear", risk_score: 0.05 });
  await answered.is("completed");
  await strait.advance(2 * DAY_MS);
  await ignored.is("failed");
  return { strait, stage };
}

/** Lets days pass, and with them the task that deletes what is old. */
async function pass(strait: TestServer, days: number): Promise<void> {
  await advanceClock(strait.db, days * DAY_MS);
  await strait.server.context.clock.synchronize(strait.db);
  await strait.tick("delete-old-events");
}

const statusesOf = async (strait: TestServer, ...users: string[]) =>
  Promise.all(users.map(async (user) => (await eventOf(strait, `aml:${user}`)).status));

describe("pattern 8: data retention and purge", () => {
  test("ST-22 W4 P5 a dry run tells what the purge then deletes: what ended 90 days ago, and nothing that waits", async () => {
    const { strait, stage } = await startKyc({ EVENT_TRIGGER_RETENTION: "8760h" });
    await pass(strait, 89);
    const waiting = await stage.trigger({ user_id: "user-1" });
    await waiting.step("aml-check", "waiting");
    await pass(strait, 0.9);

    const early = await purge(strait, { dry_run: true, older_than_days: 92 });
    const preview = await purge(strait, { dry_run: true });
    const before = await statusesOf(strait, "user-456", "user-789", "user-1");
    const { count, digest } = preview;
    const purged = await purge(strait, { expect: { count, digest } });

    expect(early.count).toBe(0);
    expect(preview).toMatchObject({ dry_run: true, count: 1, has_more: false });
    expect(before).toEqual([200, 200, 200]);
    expect(purged).toEqual({ ...preview, dry_run: false });
    expect(await statusesOf(strait, "user-456", "user-789", "user-1")).toEqual([404, 200, 200]);
    await send(strait, "aml:user-1", { result: "clear" });
    await waiting.is("completed");
  });

  for (const [setting, days] of [
    [{}, 30],
    [{ EVENT_TRIGGER_RETENTION: "8760h" }, 365],
    [{ EVENT_TRIGGER_RETENTION_DAYS: "365" }, 365],
  ] as const) {
    test(`ST-22 the reaper keeps what has ended for ${days} days with ${JSON.stringify(setting)}`, async () => {
      const { strait } = await startKyc(setting);

      await pass(strait, days - 3);
      expect(await statusesOf(strait, "user-456", "user-789")).toEqual([200, 200]);
      await pass(strait, 4);

      expect(await statusesOf(strait, "user-456", "user-789")).toEqual([404, 404]);
    });
  }
});
