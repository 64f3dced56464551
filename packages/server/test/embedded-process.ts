/** A process that uses the embedded PostgreSQL in the folder that it is given, tells its parent, and waits to be killed. */
import { startEmbeddedPostgres } from "../src/embedded/postgres.ts";

const [dataDir = ""] = process.argv.slice(2);
const { url, pid, fresh } = await startEmbeddedPostgres({ dataDir, durable: false, log: () => {} });
process.stdout.write(JSON.stringify({ url, pid, fresh }));
