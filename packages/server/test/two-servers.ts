import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { eventually, startServer, type TestServer } from "./server.ts";
import { besides } from "./stage.ts";

/** Two processes on one database, which speak for one project. */
export async function startTwo(): Promise<{ a: TestServer; b: TestServer }> {
  const a = await startServer();
  const b = besides(a, await startServer({ databaseUrl: a.databaseUrl }));
  return { a, b };
}

/** Closes the processes, so that every connection has told its statistics, and returns how often two of them deadlocked. */
export async function deadlocks(...servers: readonly TestServer[]): Promise<number> {
  for (const server of servers) await server.close();
  const session = await openSession(servers[0]?.databaseUrl ?? "", "strait test statistics");
  const read = () =>
    session.query<{ deadlocks: string; sessions: number }>(sql`
      SELECT deadlocks, numbackends AS sessions FROM pg_stat_database WHERE datname = current_database()`);
  try {
    return await eventually(async () => {
      const [row] = await read();
      return row?.sessions === 1 && Number(row.deadlocks) + 0.5;
    }).then(Math.floor);
  } finally {
    await session.close();
  }
}
