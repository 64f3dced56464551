import { programs } from "./build.ts";
import type { Contender, Payload } from "./contender.ts";
import { apiClient, serveHandler } from "./http.ts";
import { startServer } from "./server-process.ts";

/** What the sketch posts to a handler. */
interface Dispatch {
  readonly run_id: string;
  readonly payload: Payload & { readonly key?: string };
  readonly checkpoint?: unknown;
}

/** The server of `bench/sketch`, the yardstick. */
export const sketch: Contender = {
  async open({ databaseUrl, listener, keys, nodeArgs, count }) {
    const server = await startServer(programs.sketch, nodeArgs, { DATABASE_URL: databaseUrl, PORT: "0" });
    const api = apiClient(server.origin, "Bearer key", keys);
    const handler = await serveHandler(async (body) => {
      const { run_id, payload, checkpoint } = body as Dispatch;
      if (payload.key === undefined) {
        listener.started(payload);
        return { status: 200, body: "1" };
      }
      if (checkpoint) {
        listener.resumed(payload.key);
        return { status: 200, body: "1" };
      }
      await api.post(`/sdk/v1/runs/${run_id}/wait-for-event`, { event_key: payload.key });
      listener.waiting(payload.key);
      return { status: 202, body: "0" };
    });
    const trigger = async (payload: unknown) => {
      await api.post("/v1/jobs/bench/trigger", { endpoint: handler.url, payload });
    };

    return {
      enqueue: trigger,
      waitOn: (key) => trigger({ key }),
      async resolve(key, payload) {
        await api.post(`/v1/events/${encodeURIComponent(key)}/send`, { payload });
      },
      pending: () => count("SELECT count(*) FROM runs WHERE status IN ('queued', 'executing')"),
      async close() {
        await api.close();
        handler.close();
        await server.stop();
      },
    };
  },
};
