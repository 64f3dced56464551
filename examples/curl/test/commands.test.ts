import { type Dispatch, type Executor, type Outcome, startExecutor } from "@strait/example-support/executor";
import { createProject, type Project } from "@strait/example-support/project";
import type { RunningServer } from "@strait/example-support/server";
import { startTemporaryServer } from "@strait/example-support/temporary-server";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { bodiesOf, commandOf, readGuide } from "./guide.ts";
import { hasCurl, withCurl, withNode } from "./send-command.ts";

let server: RunningServer;
beforeAll(async () => {
  server = await startTemporaryServer();
});
afterAll(() => server.stop());

interface Scene extends Project {
  /** What the guide's host and key are replaced by. */
  readonly target: { readonly url: string; readonly apiKey: string };
  readonly executor: Executor;
  /** By job, oldest first. */
  readonly dispatches: Readonly<Record<string, Dispatch[]>>;
}

/** A project of its own with a job for each slug. */
async function givenJobs(
  slugs: readonly string[],
  work: (dispatch: Dispatch) => Promise<Outcome> = async () => ({ result: "done" }),
): Promise<Scene> {
  const project = await createProject(server, "Guide");
  const dispatches: Record<string, Dispatch[]> = Object.fromEntries(slugs.map((slug) => [slug, []]));
  const jobs = slugs.map((slug) => [
    slug,
    (dispatch: Dispatch) => {
      dispatches[slug]?.push(dispatch);
      return work(dispatch);
    },
  ]);
  const executor = await startExecutor(project.signingSecret, Object.fromEntries(jobs));
  onTestFinished(() => executor.close());
  for (const slug of slugs) {
    const body = { name: slug, slug, endpoint_url: executor.endpointOf(slug), max_attempts: 1 };
    await project.client.operationsPromise.postV1Jobs({ body });
  }
  return { ...project, target: { url: server.url, apiKey: project.apiKey }, executor, dispatches };
}

/** Saves the workflow as the guide has it and starts it. */
async function start({ client }: Project, file: string, payload: object): Promise<string> {
  const definition = JSON.parse(readGuide(file));
  await client.operationsPromise.postV1Workflows({ body: definition });
  const run = await client.operationsPromise.postV1WorkflowsByWorkflowIDTrigger({
    pathParams: { workflowID: definition.slug },
    body: { payload },
  });
  return run.id;
}

const waits = ({ client }: Project, eventKey: string) =>
  vi.waitFor(async () => {
    const trigger = await client.operationsPromise.getV1EventsByEventKey({ pathParams: { eventKey } });
    expect(trigger.status).toBe("waiting");
  }, 15_000);

const workflowRunEnds = ({ client }: Project, workflowRunID: string) =>
  vi.waitFor(async () => {
    const run = await client.operationsPromise.getV1WorkflowRunsByWorkflowRunID({ pathParams: { workflowRunID } });
    expect(run.finished_at).not.toBeNull();
    return run;
  }, 15_000);

const kycJobs = ["job_collect_user_data", "job_create_account"];

// A bare machine has no curl; there the same commands are sent by Node.js alone.
describe.each([
  { by: "curl", send: withCurl, isHere: hasCurl },
  { by: "node:http", send: withNode, isHere: true },
])("the guide's commands, sent by $by", ({ send, isHere }) => {
  test.skipIf(!isHere)(
    "ST-01 ST-02 ST-04 ST-05 pattern 1: the AML result goes to the step that creates the account",
    async () => {
      const scene = await givenJobs(kycJobs);
      const runId = await start(scene, "kyc-onboarding.json", { user_id: "user-456" });
      await waits(scene, "aml:user-456");

      const printed = await send(commandOf("send.sh", scene.target));

      expect(JSON.parse(printed)).toMatchObject({ status: "received", disposition: "delivered" });
      expect(await workflowRunEnds(scene, runId)).toMatchObject({ status: "completed", error: null });
      expect(scene.dispatches.job_create_account?.map(({ payload }) => payload)).toEqual([
        { user_id: "user-456", parent_outputs: { "aml-check": { result: "clear", risk_score: 0.05 } } },
      ]);
    },
  );

  test.skipIf(!isHere)("ST-13 pattern 6: everything that waits under the prefix goes on", async () => {
    const scene = await givenJobs([]);
    const { operationsPromise: strait } = scene.client;
    const steps = [
      { step_ref: "item", type: "wait_for_event" as const, event_key: "{{payload.batch}}:item-{{payload.item}}" },
    ];
    await strait.postV1Workflows({ body: { name: "Item", slug: "item", steps } });
    const started = async (batch: string, item: number) => {
      const body = { payload: { batch, item } };
      const run = await strait.postV1WorkflowsByWorkflowIDTrigger({ pathParams: { workflowID: "item" }, body });
      await waits(scene, `${batch}:item-${item}`);
      return run.id;
    };
    const reached = [await started("batch-42", 1), await started("batch-42", 2)];
    await started("batch-421", 1);

    const printed = await send(commandOf("send-prefix.sh", scene.target));

    expect(JSON.parse(printed)).toMatchObject({ has_more: false, skipped: [] });
    for (const id of reached) expect(await workflowRunEnds(scene, id)).toMatchObject({ status: "completed" });
    const pathParams = { eventKey: "batch-42:item-2" };
    expect(await strait.getV1EventsByEventKey({ pathParams })).toMatchObject({
      status: "received",
      response_payload: { approved: true },
    });
    await waits(scene, "batch-421:item-1");
  });

  test.skipIf(!isHere)("ST-15 the stream tells each status and closes by itself at the last one", async () => {
    const scene = await givenJobs(kycJobs);
    await start(scene, "kyc-onboarding.json", { user_id: "user-456" });
    await waits(scene, "aml:user-456");

    const streaming = send(commandOf("stream.sh", scene.target));
    await send(commandOf("send.sh", scene.target));

    const frames = [...(await streaming).matchAll(/^event: (\w+)\n(?:id: .*\n)?data: (.*)$/gm)];
    const told = frames.map(([, event, data = ""]) => [event, JSON.parse(data).status]);
    expect(told.slice(-2)).toEqual([
      ["status", "received"],
      ["end", undefined],
    ]);
  });

  test.skipIf(!isHere)("ST-19 canceling the trigger fails its step at once", async () => {
    const scene = await givenJobs(kycJobs);
    const runId = await start(scene, "kyc-onboarding.json", { user_id: "user-456" });
    await waits(scene, "aml:user-456");

    const printed = await send(commandOf("cancel.sh", scene.target));

    expect(JSON.parse(printed)).toMatchObject({ event_key: "aml:user-456", status: "canceled" });
    expect(await workflowRunEnds(scene, runId)).toMatchObject({ status: "failed" });
    expect(scene.dispatches.job_create_account).toEqual([]);
  });
});

test("ST-01 ST-07 pattern 2: production is deployed after the sign-off", async () => {
  const scene = await givenJobs(["job_build", "job_test", "job_deploy_staging", "job_deploy_prod"]);
  const runId = await start(scene, "prod-deploy.json", { release_id: "v2.1" });
  await waits(scene, "qa-signoff:v2.1");
  expect(scene.dispatches.job_deploy_prod).toEqual([]);

  const pathParams = { eventKey: "qa-signoff:v2.1" };
  await scene.client.operationsPromise.postV1EventsByEventKeySend({
    pathParams,
    body: { payload: { approved: true } },
  });

  expect(await workflowRunEnds(scene, runId)).toMatchObject({ status: "completed", error: null });
  expect(scene.dispatches.job_deploy_prod).toHaveLength(1);
});

test("ST-10 ST-11 ST-12 pattern 5: the job reports, waits, and is dispatched again with the event as its checkpoint", async () => {
  const bodies = bodiesOf("wait-for-event.py", { document_id: "doc-7" });
  const answers: unknown[] = [];
  const scene = await givenJobs(["review"], async ({ runId, runToken, checkpoint }) => {
    if (checkpoint !== undefined) return { result: checkpoint };
    for (const [path, body] of Object.entries(bodies)) {
      const response = await fetch(`${server.url}/sdk/v1/runs/${runId}/${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${runToken}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      });
      answers.push([path, response.status]);
    }
    return "waiting";
  });
  const { operationsPromise: strait } = scene.client;
  const triggered = await strait.postV1JobsByJobIDTrigger({ pathParams: { jobID: "review" }, body: {} });
  const runID = "id" in triggered ? triggered.id : "";
  await waits(scene, "review:doc-7");

  await strait.postV1EventsByEventKeySend({
    pathParams: { eventKey: "review:doc-7" },
    body: { payload: { approved: true } },
  });

  const run = await vi.waitFor(async () => {
    const found = await strait.getV1RunsByRunID({ pathParams: { runID } });
    expect(found.finished_at).not.toBeNull();
    return found;
  }, 15_000);
  expect(answers).toEqual([
    ["progress", 201],
    ["wait-for-event", 200],
  ]);
  expect(run).toMatchObject({
    status: "completed",
    result: { approved: true },
    progress: { percent: 50, message: "Waiting for manual review" },
  });
  expect(scene.dispatches.review?.map(({ number }) => number)).toEqual([1, 2]);
});
