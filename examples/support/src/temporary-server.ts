import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type RunningServer, startServer } from "./server.ts";

/**
 * For tests: a server on an empty database, which is removed when the server stops. What it logged goes to standard
 * error then, since a test that fails sees only the answers.
 *
 * @param env - Settings beside those that a development server needs.
 */
export async function startTemporaryServer(env: Readonly<Record<string, string>> = {}): Promise<RunningServer> {
  const dataDir = await mkdtemp(join(tmpdir(), "strait-example-"));
  // PostgreSQL refuses to run as root, and whom root makes it run as has to get in.
  await chmod(dataDir, 0o755);
  const remove = () => rm(dataDir, { recursive: true, force: true });
  try {
    const server = await startServer({ folder: new URL("..", import.meta.url), dataDir, env });
    return {
      ...server,
      // Spreading has copied what was logged until now.
      get log() {
        return server.log;
      },
      async stop() {
        try {
          await server.stop();
        } finally {
          if (server.log !== "") process.stderr.write(server.log);
          await remove();
        }
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}
