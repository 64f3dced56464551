import "./v8-flags.ts";
import type { Server as NodeServer } from "node:http";
import { createServer, type Server } from "./compose.ts";
import { type Config, readConfig } from "./config.ts";
import { ensureDevelopmentKey } from "./development.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded/postgres.ts";
import { createNodeServer, stopTaking } from "./http/node-server.ts";
import { createLog } from "./log.ts";
import { readSecrets } from "./secrets.ts";
import { StartupError } from "./startup-error.ts";
import { armCrash } from "./store/crash-points.ts";
import { migrate } from "./store/migrate.ts";
import { welcome } from "./welcome.ts";

/** What is under way when the process stops is answered within this time, or never. */
const ANSWER_MS = 10_000;

/** The process: reads the configuration, starts, and stops on a signal. */
async function main(): Promise<void> {
  const config = readConfig();
  const log = createLog(config);
  for (const warning of config.warnings) log.warn(warning);
  if (config.crashAt) armCrash(config.crashAt);

  const embedded = config.database.url === undefined ? await startEmbedded(config) : undefined;
  const databaseUrl = config.database.url ?? embedded?.url ?? "";
  try {
    const applied = await migrate(databaseUrl, { log: (message) => log.debug(message) });
    if (applied.length > 0) log.info({ applied }, "the database is up to date");
    const secrets = await readSecrets(config);
    const server = await createServer({ config, secrets, databaseUrl, log });
    const http = await listen(config, server);
    stopOnSignal(async () => {
      log.info("stopping: no new work, what is under way ends or is put back");
      await server.drain();
      await stopTaking(http, ANSWER_MS);
      await server.close();
      await embedded?.stop();
    });
    const url = urlOf(config, http);
    process.stdout.write(`listening on ${url}\n`);
    if (secrets.developmentApiKey !== undefined) {
      await ensureDevelopmentKey(server.context, secrets.developmentApiKey);
      process.stdout.write(welcome(url, secrets.developmentApiKey, embedded?.directory));
    }
  } catch (error) {
    await embedded?.stop();
    throw error;
  }
}

function startEmbedded({ files }: Config): Promise<EmbeddedPostgres> {
  return startEmbeddedPostgres({
    dataDir: `${files.dataDir}/postgres`,
    ...(files.fallbackDir === undefined ? {} : { fallbackDir: files.fallbackDir }),
    log: (message) => process.stderr.write(`${message}\n`),
  });
}

async function listen({ http: { host, port, requestTimeoutMs } }: Config, server: Server): Promise<NodeServer> {
  const http = createNodeServer({ fetch: server.fetch, requestTimeoutMs });
  try {
    await new Promise<void>((resolve, reject) => {
      http.once("error", reject);
      http.listen(port, host, resolve);
    });
  } catch (error) {
    await server.close();
    throw cannotListen(host, port, error);
  }
  return http;
}

function cannotListen(host: string, port: number, error: unknown): StartupError {
  const code = (error as NodeJS.ErrnoException).code;
  const fix =
    code === "EADDRINUSE"
      ? `Port ${port} on ${host} is taken; stop what uses it, or set PORT to another one (0 takes any that is free).`
      : `Cannot listen on ${host}:${port} (${code}); set HOST and PORT to an address of this machine that you may use.`;
  return new StartupError(fix, { cause: error });
}

function urlOf({ http: { host } }: Config, http: NodeServer): string {
  const address = http.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return `http://${host.includes(":") ? `[${host}]` : host}:${port}`;
}

/** The first signal drains; a second one ends at once, which is safe too. */
function stopOnSignal(stop: () => Promise<void>): void {
  let isStopping = false;
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      if (isStopping) process.exit(1);
      isStopping = true;
      stop().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`${String(error)}\n`);
          process.exit(1);
        },
      );
    });
  }
}

main().catch((error: unknown) => {
  const isExpected = error instanceof StartupError;
  process.stderr.write(`${isExpected ? error.message : String((error as Error).stack)}\n`);
  process.exit(1);
});
