import { describe, expect, test } from "vitest";
import { eventually, startExecutor, startServer } from "./server.ts";

describe("a workflow with an approval", () => {
  test("ST-01 ST-02 ST-03 ST-04 ST-05 waits for the event and hands its payload to the next step", async () => {
    const strait = await startServer();
    const executor = await startExecutor(({ path }) => ({ body: { path } }));
    for (const slug of ["job_collect_user_data", "job_create_account"]) {
      const job = { name: slug, slug, endpoint_url: `${executor.url}/${slug}` };
      expect((await strait.request("POST", "/v1/jobs", { body: job })).status).toBe(201);
    }
    const workflow = await strait.request("POST", "/v1/workflows", {
      body: {
        name: "KYC Onboarding",
        slug: "kyc-onboarding",
        steps: [
          { step_ref: "collect-data", job_id: "job_collect_user_data" },
          {
            step_ref: "aml-check",
            type: "wait_for_event",
            event_key: "aml:{{payload.user_id}}",
            timeout_secs: 86400,
            depends_on: ["collect-data"],
          },
          { step_ref: "create-account", job_id: "job_create_account", depends_on: ["aml-check"] },
        ],
      },
    });
    expect(workflow.status).toBe(201);

    const started = await strait.request("POST", "/v1/workflows/kyc-onboarding/trigger", {
      body: { payload: { user_id: "user-456" } },
    });
    expect(started.status).toBe(201);
    await eventually(async () => (await strait.request("GET", "/v1/events/aml%3Auser-456")).status === 200);
    const sent = await strait.request("POST", "/v1/events/aml:user-456/send", {
      body: { payload: { result: "clear", risk_score: 0.05 } },
    });
    expect(sent.body).toMatchObject({ status: "received", disposition: "delivered" });

    const run = await eventually(async () => {
      const { body } = await strait.request("GET", `/v1/workflow-runs/${started.body.id}`);
      return body.status === "completed" && body;
    });
    expect(run.error).toBeNull();
    const [, create] = executor.dispatches;
    expect(create?.body).toEqual({
      user_id: "user-456",
      parent_outputs: { "aml-check": { result: "clear", risk_score: 0.05 } },
    });
  });
});
