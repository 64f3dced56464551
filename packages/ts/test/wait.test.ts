import type { ServerResponse } from "node:http";
import { describe, expect, test } from "vitest";
import { createClient } from "../src/index.ts";
import { givenServer, type Reply } from "./fixture/server.ts";

const auth = { type: "bearer", token: "strait_test_0123456789" } as const;

function states(...states: readonly object[]): Reply {
  return (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    for (const [index, state] of states.entries()) {
      response.write(`event: status\nid: ${index}\ndata: ${JSON.stringify(state)}\n\n`);
    }
    response.end("event: end\ndata: {}\n\n");
  };
}

async function givenClient(...replies: Reply[]) {
  const { baseUrl, arrived } = await givenServer(...replies);
  return { client: createClient({ baseUrl, auth }), arrived };
}

describe("waiting", () => {
  test.each([
    [{ id: "trg_1", event_key: "aml:user-456" }, "/v1/events/aml%3Auser-456/stream"],
    [{ id: "run_1" }, "/v1/runs/run_1/stream"],
    [{ id: "wfr_1", workflow_id: "wf_1" }, "/v1/workflow-runs/wfr_1/stream"],
  ])("for %j follows its stream until it ends, and gives the last state", async (target, url) => {
    const last = { ...target, status: "failed" };
    const { client, arrived } = await givenClient(states({ ...target, status: "waiting" }, last));

    expect(await client.waitUntil(target)).toEqual(last);
    expect(arrived.map((request) => request.url)).toEqual([url]);
  });

  test("ends at the first state that will do", async () => {
    const { client } = await givenClient(
      states({ id: "run_1", status: "queued" }, { id: "run_1", status: "waiting" }, { id: "run_1", status: "failed" }),
    );

    const run = await client.waitUntil({ id: "run_1" }, { until: ({ status }) => status === "waiting" });

    expect(run.status).toBe("waiting");
  });

  test("for a trigger whose key has another wait by now finds the one that was meant", async () => {
    const meant = { id: "trg_1", event_key: "k", status: "received" };
    const { client, arrived } = await givenClient(states({ id: "trg_2", event_key: "k", status: "waiting" }), {
      body: { data: [{ id: "trg_2" }, meant], next_cursor: null, has_more: false },
    });

    expect(await client.waitUntil({ id: "trg_1", event_key: "k" })).toEqual(meant);
    expect(arrived[1]?.url).toBe("/v1/events?prefix=k&limit=100");
  });

  test("throws what its stream throws", async () => {
    const { client } = await givenClient({ status: 404 });

    await expect(client.waitUntil({ id: "run_1" })).rejects.toMatchObject({ _tag: "NotFoundError" });
  });

  test("is not offered to a run, whose token opens no streams", () => {
    const client = createClient({ baseUrl: "https://strait.dev", auth: { type: "runToken", token: "run-token" } });

    expect([client.waitUntil, client.triggerAndWait, client.triggerWorkflowAndWait]).toEqual(Array(3).fill(undefined));
  });
});

describe("triggering and waiting", () => {
  test("gives the run as it ended", async () => {
    const { client, arrived } = await givenClient(
      { status: 201, body: { id: "run_1" } },
      states({ id: "run_1", result: 7 }),
    );

    const run = await client.triggerAndWait({ pathParams: { jobID: "welcome" }, body: { payload: { name: "Ada" } } });

    expect(run.result).toBe(7);
    expect(arrived.map(({ method, url }) => `${method} ${url}`)).toEqual([
      "POST /v1/jobs/welcome/trigger",
      "GET /v1/runs/run_1/stream",
    ]);
  });

  test("works for workflows alike", async () => {
    const { client, arrived } = await givenClient(
      { status: 201, body: { id: "wfr_1" } },
      states({ id: "wfr_1", steps: [] }),
    );

    const run = await client.triggerWorkflowAndWait({ pathParams: { workflowID: "kyc" }, body: {} });

    expect(run.steps).toEqual([]);
    expect(arrived[1]?.url).toBe("/v1/workflow-runs/wfr_1/stream");
  });

  test("refuses a dry run, which makes nothing to wait for", async () => {
    const { client } = await givenClient({ body: { valid: true } });

    const call = client.triggerAndWait({ pathParams: { jobID: "welcome" }, body: { dry_run: true } });

    await expect(call).rejects.toMatchObject({ _tag: "ValidationError", field: "body.dry_run" });
  });
});
