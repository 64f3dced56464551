import { describe, expect, test } from "vitest";
import { eventually, startServer, type TestServer } from "./server.ts";
import { send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

function scrape(strait: TestServer, headers: Record<string, string> = {}): Promise<Response> {
  return strait.fetch("GET", "/metrics", { token: null, headers });
}

/** The samples of the process, by name and labels as they are written. */
async function samplesOf(strait: TestServer): Promise<Map<string, number>> {
  const response = await scrape(strait, { authorization: `Bearer ${strait.internalSecret}` });
  expect(response.status).toBe(200);
  expect(response.headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

describe("the metrics", () => {
  test("are for whoever has the internal secret, and for nobody's API key", async () => {
    const strait = await startServer({ runsEngine: false });

    const answers = await Promise.all([
      scrape(strait, { "x-internal-secret": strait.internalSecret }),
      scrape(strait),
      scrape(strait, { authorization: `Bearer ${strait.apiKey}` }),
    ]);

    expect(answers.map(({ status }) => status)).toEqual([200, 401, 401]);
  });

  test("count sends by what became of them, and waits by how they opened and ended", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("a", { timeout_secs: null });
    await stage.parked("b", { timeout_secs: 60 });
    await stage.parked("c");
    const keyed = { "idempotency-key": "once" };
    await send(strait, "a", 1, {}, keyed);
    await send(strait, "a", 1, {}, keyed);
    await send(strait, "a", 1);
    await send(strait, "a", 2);
    await send(strait, "nobody", 1);
    await send(strait, "nobody", 1, { if_no_waiter: "fail" });
    await strait.request("POST", "/v1/events/c/reject", { body: { reason: "no" } });
    await strait.advance(61_000);
    await send(strait, "b", 1);

    const samples = await samplesOf(strait);

    const sent = (disposition: string) => samples.get(`strait_events_sent_total{disposition="${disposition}"}`);
    expect([
      sent("delivered"),
      sent("duplicate"),
      sent("conflict"),
      sent("buffered"),
      sent("late"),
      sent("refused"),
    ]).toEqual([2, 1, 1, 1, 1, 1]);
    const opened = (deadline: string) =>
      samples.get(`strait_event_triggers_opened_total{source_type="job_run",deadline="${deadline}"}`);
    expect([opened("none"), opened("some")]).toEqual([1, 2]);
    const settled = (status: string) => samples.get(`strait_event_triggers_settled_total{status="${status}"}`);
    expect([settled("received"), settled("canceled"), settled("timed_out")]).toEqual([1, 1, 1]);
    expect(samples.get("strait_event_trigger_wait_seconds_count")).toBe(1);
    expect(
      samples.get('strait_http_request_duration_seconds_count{operation="postV1EventsByEventKeySend",status="200"}'),
    ).toBe(3);
  });

  test("tell how soon an event resumes its run, and how runs and calls end", async () => {
    const strait = await startServer();
    const stage = await startStage(strait, ({ headers, path }) =>
      path === "/" && headers["x-resume-reason"] === "event" ? { status: 200 } : { status: 202 },
    );
    const run = await stage.parked("a");
    await send(strait, "a", 1);
    await run.is("completed");
    const canceled = await stage.parked("b");
    await strait.request("DELETE", `/v1/runs/${canceled.id}`);
    const workflow = await startWorkflowStage(strait, [{ step_ref: "w", type: "wait_for_event", event_key: "w" }]);
    await (await workflow.trigger()).step("w", "waiting");

    const samples = await eventually(async () => {
      const found = await samplesOf(strait);
      return found.get('strait_dispatches_total{result="2xx"}') === 3 && found;
    });

    expect(samples.get("strait_send_to_resume_seconds_count")).toBe(1);
    expect(samples.get('strait_runs_finished_total{status="completed"}')).toBe(1);
    expect(samples.get('strait_runs_finished_total{status="canceled"}')).toBe(1);
    expect(samples.get('strait_event_triggers_opened_total{source_type="workflow_step",deadline="some"}')).toBe(1);
    expect(samples.get("strait_queue_depth")).toBe(0);
    expect(samples.get("strait_dispatches_in_flight")).toBe(0);
    expect([...samples.keys()].filter((name) => name.includes(strait.projectId))).toEqual([]);
  });
});
