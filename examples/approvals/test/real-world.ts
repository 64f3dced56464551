import { startExecutor } from "@strait/example-support/executor";
import { createProject } from "@strait/example-support/project";
import { startTemporaryServer } from "@strait/example-support/temporary-server";
import { createClient } from "@strait/ts";
import type { Question, World } from "./world.ts";

/** A server with a database of its own, and a job that asks what it is told to ask. */
export async function startRealWorld(): Promise<World> {
  const server = await startTemporaryServer({ SSE_KEEPALIVE_INTERVAL: "500ms" });
  const project = await createProject(server, "Approvals");
  const { operationsPromise: strait } = project.client;

  const executor = await startExecutor(project.signingSecret, {
    async ask({ runId: runID, runToken: token, payload, checkpoint }) {
      if (checkpoint !== undefined) return { result: checkpoint };
      const { key, asks, timeoutSecs } = payload as Question;
      const run = createClient({ baseUrl: server.url, auth: { type: "runToken", token } });
      const body = { event_key: key, request_payload: asks, timeout_secs: timeoutSecs };
      await run.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({ pathParams: { runID }, body });
      return "waiting";
    },
  });
  await strait.postV1Jobs({ body: { name: "Ask", slug: "ask", endpoint_url: executor.endpointOf("ask") } });

  return {
    straitUrl: server.url,
    apiKey: project.apiKey,
    async ask(question) {
      const pathParams = { jobID: "ask" };
      const run = await strait.postV1JobsByJobIDTrigger({ pathParams, body: { payload: question } });
      if (!("id" in run)) throw new Error("a dry run asks nothing");
      await project.client.waitUntil(run, { until: ({ status }) => status === "waiting" });
    },
    async close() {
      await executor.close();
      await server.stop();
    },
  };
}
