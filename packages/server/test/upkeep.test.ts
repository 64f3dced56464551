import { describe, expect, test } from "vitest";
import * as runMoves from "../src/store/run-moves.ts";
import { sql } from "../src/store/sql.ts";
import { countOf, readRun, startExecutingWorld, startQuiet } from "./given.ts";
import { startServer } from "./server.ts";
import { waitForEvent } from "./stage.ts";
import { recordStatements } from "./statements.ts";

const HOUR_MS = 3_600_000;

describe("Q6 large checkpoints", () => {
  const large = (n: number) => ({ n, text: "x".repeat(1_000) });
  const bodies = `SELECT kind, seq FROM run_bodies ORDER BY kind, seq`;

  test("are replaced by the next one: of a run only the latest is kept, whatever its size", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [run, other] = await world.executing(2);
    const save = (of: typeof run, state: unknown) =>
      strait.request("POST", `/sdk/v1/runs/${of?.id}/checkpoint`, { token: of?.token ?? null, body: { state } });

    await save(other, large(0));
    for (const n of [1, 2, 3]) await save(run, large(n));

    expect(await strait.db.query({ text: bodies, values: [] })).toEqual([
      { kind: "checkpoint", seq: 1 },
      { kind: "checkpoint", seq: 3 },
    ]);
    const read = await strait.request("GET", `/sdk/v1/runs/${run?.id}/checkpoint`, { token: run?.token ?? null });
    expect(read.body.state).toEqual(large(3));
    await save(run, { small: true });
    expect(await strait.db.query({ text: bodies, values: [] })).toEqual([{ kind: "checkpoint", seq: 1 }]);
  });

  test("that were replaced when their run was resumed go when the run ends, and the latest stays", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [run] = await world.executing(1);
    const item = { project_id: strait.projectId, id: run?.id ?? "" };
    await strait.request("POST", `/sdk/v1/runs/${run?.id}/checkpoint`, {
      token: run?.token ?? null,
      body: { state: large(1) },
    });
    await runMoves.move(strait.db, "wait", [item], { actor: "test" });
    const checkpoint = JSON.stringify(large(2));
    await runMoves.move(strait.db, "resume", [{ ...item, checkpoint, checkpoint_source: "event_trigger" }], {
      actor: "test",
    });
    expect(await countOf(strait, "run_bodies")).toBe(2);

    await strait.request("DELETE", `/v1/runs/${run?.id}`);

    expect(await strait.db.query({ text: bodies, values: [] })).toEqual([{ kind: "checkpoint", seq: 2 }]);
    expect((await readRun(strait, run?.id ?? "")).status).toBe("canceled");
  });
});

describe("how often a run was lost or held back", () => {
  test("counts in a row: an answer or a wait begins anew", async () => {
    const world = await startExecutingWorld();
    const { strait } = world;
    const [retried, parked] = await world.executing(2);
    await strait.db.query(sql`UPDATE runs SET lost_count = 3, snooze_count = 50`);

    await runMoves.move(
      strait.db,
      "retry",
      [{ project_id: strait.projectId, id: retried?.id ?? "", delay_ms: 1_000 }],
      {
        actor: "test",
      },
    );
    if (parked) await waitForEvent(strait, parked, "answer");

    expect(await strait.db.query(sql`SELECT DISTINCT lost_count, snooze_count FROM runs`)).toEqual([
      { lost_count: 0, snooze_count: 0 },
    ]);
  });
});

describe("an endpoint's circuit", () => {
  test("is forgotten a day after its last failure", async () => {
    const strait = await startQuiet();
    const given = (endpoint: string) =>
      strait.db.query(sql`
      INSERT INTO endpoint_circuits (project_id, endpoint, failures) VALUES (${strait.projectId}, ${endpoint}, 5)`);
    await given("http://idle/");
    await strait.advance(23 * HOUR_MS);
    await given("http://failing/");

    await strait.advance(2 * HOUR_MS);

    expect(await strait.db.query(sql`SELECT endpoint FROM endpoint_circuits`)).toEqual([
      { endpoint: "http://failing/" },
    ]);
  });
});

describe("Q8 room for runs", () => {
  test("is this process's own affair: the others are not told", async () => {
    const strait = await startServer({ runsEngine: false });
    const { signals } = strait.server.context;
    signals.setPeers(true);
    const told: string[] = [];
    signals.subscribe("queue", () => told.push("queue"));
    const statements = recordStatements();

    signals.tell(["queue"]);
    await new Promise((resolve) => setImmediate(resolve));

    expect(told).toEqual(["queue"]);
    expect(statements.filter(({ text }) => text.includes("pg_notify"))).toEqual([]);
  });
});
