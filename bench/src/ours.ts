import { randomBytes } from "node:crypto";
import { programs } from "./build.ts";
import type { Contender, Payload } from "./contender.ts";
import { apiClient, serveHandler } from "./http.ts";
import { startServer } from "./server-process.ts";

const DAY_SECS = 86_400;

export interface OurServer {
  readonly origin: string;
  readonly pid: number;
  readonly apiKey: string;
  readonly projectId: string;
  readonly environmentId: string;
  stop(): Promise<void>;
}

/** Starts the server as in production, with a project. */
export async function startOurs(
  databaseUrl: string,
  nodeArgs: readonly string[],
  env: Record<string, string> = {},
): Promise<OurServer> {
  const internalSecret = randomBytes(24).toString("hex");
  const server = await startServer(programs.ours, nodeArgs, {
    NODE_ENV: "production",
    DATABASE_URL: databaseUrl,
    HOST: "127.0.0.1",
    PORT: "0",
    INTERNAL_SECRET: internalSecret,
    JWT_SIGNING_KEY: randomBytes(32).toString("hex"),
    LOG_LEVEL: "error",
    STRAIT_ALLOW_PRIVATE_ENDPOINTS: "true",
    ...env,
  });
  return { ...server, ...(await createProject(server.origin, internalSecret)) };
}

/** The server of `packages/server`, used through its API alone. */
export const ours: Contender = {
  async open({ databaseUrl, listener, keys, nodeArgs, count }) {
    const server = await startOurs(databaseUrl, nodeArgs);
    const api = apiClient(server.origin, `Bearer ${server.apiKey}`, keys);

    const handler = await serveHandler(async (body, headers) => {
      const payload = body as Payload & { readonly key?: string };
      if (payload.key === undefined) {
        listener.started(payload);
        return { status: 200, body: "1" };
      }
      if (headers["x-last-checkpoint"] !== undefined) {
        listener.resumed(payload.key);
        return { status: 200, body: "1" };
      }
      await api.post(
        `/sdk/v1/runs/${headers["x-run-id"]}/wait-for-event`,
        { event_key: payload.key, timeout_secs: DAY_SECS },
        { authorization: `Bearer ${headers["x-run-token"]}` },
      );
      listener.waiting(payload.key);
      return { status: 202, body: "0" };
    });
    await api.post("/v1/jobs", { name: "Bench", slug: "bench", endpoint_url: handler.url });
    const trigger = async (payload: unknown) => {
      await api.post("/v1/jobs/bench/trigger", { payload });
    };

    return {
      enqueue: trigger,
      waitOn: (key) => trigger({ key }),
      async resolve(key, payload) {
        await api.post(`/v1/events/${encodeURIComponent(key)}/send`, { payload });
      },
      // Not through the API, whose pages would cost more than what is measured.
      pending: () => count("SELECT count(*) FROM runs WHERE status IN ('delayed', 'queued', 'dequeued', 'executing')"),
      async close() {
        await api.close();
        handler.close();
        await server.stop();
      },
    };
  },
};

async function createProject(
  origin: string,
  internalSecret: string,
): Promise<Pick<OurServer, "apiKey" | "projectId" | "environmentId">> {
  const api = apiClient(origin, "", false);
  const secret = { "x-internal-secret": internalSecret };
  const project = JSON.parse(await api.post("/v1/projects", { name: "Bench" }, secret));
  const { key } = JSON.parse(
    await api.post("/v1/api-keys", { name: "bench", scopes: ["*"] }, { ...secret, "x-project-id": project.id }),
  );
  await api.close();
  return { apiKey: key, projectId: project.id, environmentId: project.default_environment_id };
}
