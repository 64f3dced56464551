import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "./server.ts";

/** For tests: a server on an empty database, which is removed when the server stops. */
export async function startTemporaryServer(): Promise<RunningServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "strait-example-"));
  // PostgreSQL refuses to run as root, and whom root makes it run as has to get in.
  await chmod(dataDir, 0o755);
  const remove = () => rm(dataDir, { recursive: true, force: true });
  try {
    const server = await startServer({ folder: new URL("..", import.meta.url), dataDir });
    return {
      ...server,
      async stop() {
        await server.stop();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
