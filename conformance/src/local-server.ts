import { randomBytes } from "node:crypto";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createProject } from "@strait/example-support/project";
import { type RunningServer, startServer } from "@strait/example-support/server";
import { startEmbeddedPostgres } from "@strait/server/embedded";
import type { Target } from "./suite.ts";

export interface LocalServer {
  readonly target: Target;
  /** What its processes have logged. */
  readonly log: string;
  stop(): Promise<void>;
}

/** So that a stream that says nothing does not take the suite a quarter of a minute. */
const KEEPALIVE = "2s";

/** Starts server processes on one embedded PostgreSQL in a temporary folder, and makes a project. */
export async function startLocalServer(processes: number): Promise<LocalServer> {
  const folder = await mkdtemp(join(tmpdir(), "strait-conformance-"));
  // Another user runs PostgreSQL when this one is root, and has to get in.
  await chmod(folder, 0o755);
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "postgres"),
    fallbackDir: folder,
    durable: false,
    log: () => {},
  });
  const servers: RunningServer[] = [];
  async function stop(): Promise<void> {
    try {
      await Promise.all(servers.map((server) => server.stop()));
    } finally {
      await postgres.stop();
      await rm(folder, { recursive: true, force: true });
    }
  }
  try {
    const internalSecret = randomBytes(32).toString("hex");
    const options = {
      folder: new URL("..", import.meta.url),
      dataDir: folder,
      env: { DATABASE_URL: postgres.url, INTERNAL_SECRET: internalSecret, SSE_KEEPALIVE_INTERVAL: KEEPALIVE },
    };
    for (let n = 0; n < processes; n++) servers.push(await startServer(options));
    const urls = servers.map(({ url }) => url);
    const { apiKey } = await createProject({ url: urls[0] ?? "", internalSecret }, "Conformance");
    return {
      target: { urls, apiKey, internalSecret },
      get log() {
        return servers.map(({ log }) => log).join("");
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
