import { describe, expect, test } from "vitest";
import { receive } from "./inbox-stage.ts";
import { startServer, type TestServer } from "./server.ts";
import { besides, send, startStage } from "./stage.ts";
import { recordStatements } from "./statements.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

function limitTo(strait: TestServer, max_active_event_triggers: number | null, projectId = strait.projectId) {
  return strait.request("PATCH", `/v1/projects/${projectId}`, {
    token: null,
    headers: { "x-internal-secret": strait.internalSecret },
    body: { max_active_event_triggers },
  });
}

describe("ST-S13 a project that may have so many waits open", () => {
  test("is refused one more with the limit, which changes nothing, until one of them has ended", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const limited = await limitTo(strait, 2);
    for (const key of ["a", "b"]) await stage.parked(key);
    const third = await stage.run();

    const refused = await third.wait("c");
    await send(strait, "a", 1);
    const admitted = await third.wait("c");

    expect(limited.body).toMatchObject({ max_active_event_triggers: 2, name: "Test" });
    expect(refused.status).toBe(429);
    expect(refused.body.error).toMatchObject({ code: "quota_exceeded", details: { limit: 2 } });
    expect(refused.body.error.message).toContain("as many open waits as it may, 2");
    expect(admitted.status).toBe(200);
  });

  test("fails the step of a workflow that would be one more, with that error", async () => {
    const strait = await startServer();
    const stage = await startWorkflowStage(strait, [
      { step_ref: "first", type: "wait_for_event", event_key: "first:{{payload.n}}", on_failure: "continue" },
    ]);
    await limitTo(strait, 1);
    const waits = await stage.trigger({ n: 1 });
    await waits.step("first", "waiting");

    const refused = await stage.trigger({ n: 2 });
    const steps = await refused.step("first", "failed");

    expect(steps.first?.error).toContain("as many open waits as it may, 1");
  });

  test("counts what no key finds, too: a wait on an inbox, and a group beside its members", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await limitTo(strait, 4);
    const group = await stage.run();
    const waits = ["a", "b"].map((event_key) => ({ event_key }));
    const body = { mode: "any", waits };
    const grouped = await strait.request("POST", `/sdk/v1/runs/${group.id}/wait-for-events`, {
      token: group.token,
      body,
    });
    const talking = await receive(strait, await stage.run());

    const refused = [
      await (await stage.run()).wait("c"),
      await receive(strait, await stage.run()),
      await strait.request("POST", `/sdk/v1/runs/${(await stage.run()).id}/wait-for-events`, {
        token: stage.executor.dispatches.at(-1)?.runToken ?? null,
        body: { mode: "any", waits: [{ event_key: "d" }] },
      }),
    ];
    await send(strait, "a", 1);
    const admitted = await (await stage.run()).wait("c");

    expect([grouped.status, talking.body.status]).toEqual([200, "waiting"]);
    expect(refused.map(({ status }) => status)).toEqual([429, 429, 429]);
    expect(admitted.status).toBe(200);
  });

  test("U2 lets one in that replaces another: there are no more of them then", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await limitTo(strait, 1);
    const first = await stage.parked("a");

    const replacing = await (await stage.run()).wait("a", { on_conflict: "replace" });
    const joining = await (await stage.run()).wait("a", { on_conflict: "join" });

    expect([replacing.status, replacing.body.status, joining.status]).toEqual([200, "waiting", 429]);
    await first.is("canceled");
  });

  test("does not hold back another project, nor sleeps, nor one without a limit", async () => {
    const strait = await startServer();
    const other = await strait.anotherProject();
    await limitTo(strait, 1, other.projectId);
    const stage = await startStage(strait);
    await limitTo(strait, 1);
    await stage.parked("a");
    const sleeper = await startWorkflowStage(strait, [{ step_ref: "s", type: "sleep", sleep_duration: "1h" }]);
    await (await sleeper.trigger()).step("s", "waiting");
    const before = await (await stage.run()).wait("b");

    await limitTo(strait, null);
    const after = await (await stage.run()).wait("b");

    expect([before.status, after.status]).toEqual([429, 200]);
  });

  test("keeps its limit within a tenth while many open at once in two processes, and none waits for another", async () => {
    const strait = await startServer();
    const second = besides(strait, await startServer({ databaseUrl: strait.databaseUrl }));
    const stage = await startStage(strait);
    await limitTo(strait, 20);
    const runs = await Promise.all(Array.from({ length: 40 }, () => stage.run()));

    const answers = await Promise.all(
      runs.map((run, index) =>
        (index % 2 === 0 ? strait : second).request("POST", `/sdk/v1/runs/${run.id}/wait-for-event`, {
          token: run.token,
          body: { event_key: `key:${index}` },
        }),
      ),
    );
    const late = await (await stage.run()).wait("one more");

    const opened = answers.filter(({ status }) => status === 200).length;
    expect(answers.every(({ status }) => status === 200 || status === 429)).toBe(true);
    expect(opened).toBeGreaterThanOrEqual(20);
    // What was under way when the last free places were counted: at most a connection's worth per process.
    expect(opened).toBeLessThanOrEqual(36);
    expect(late.status).toBe(429);
  });

  test("costs a project without a limit one look a second, and no count", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    const runs = await Promise.all(Array.from({ length: 5 }, () => stage.run()));
    const recorded = recordStatements();

    for (const [index, run] of runs.entries()) await run.wait(`key:${index}`);

    const looks = recorded.filter(({ text }) => text.includes("max_active_event_triggers"));
    expect(looks.length).toBeGreaterThanOrEqual(1);
    expect(looks.length).toBeLessThan(5);
  });
});

describe("changing a project", () => {
  test("changes what is given, needs something, and is the operator's business", async () => {
    const strait = await startServer({ runsEngine: false });
    const patch = (body: object, headers: Record<string, string> = { "x-internal-secret": strait.internalSecret }) =>
      strait.request("PATCH", `/v1/projects/${strait.projectId}`, { token: null, headers, body });

    const named = await patch({ name: "Renamed" });
    const limited = await patch({ max_active_event_triggers: 5 });
    const answers = [await patch({}), await patch({ max_active_event_triggers: 0 }), await patch({ name: "X" }, {})];

    expect(named.body).toMatchObject({ name: "Renamed", max_active_event_triggers: null });
    expect(limited.body).toMatchObject({ name: "Renamed", max_active_event_triggers: 5 });
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 401]);
  });
});
