import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { makeLinks } from "../src/embedded/binaries.ts";
import { isRoot, isRunning } from "../src/embedded/os-user.ts";
import { type EmbeddedPostgresOptions, startEmbeddedPostgres } from "../src/embedded/postgres.ts";
import { explainFailure, startProgram } from "../src/embedded/program.ts";
import { openSession } from "../src/store/session.ts";
import { type Statement, sql } from "../src/store/sql.ts";
import { eventually } from "./server.ts";

const NOBODY = 65_534;
const options = { durable: false, log: () => {} };
const start = async (dataDir: string, more: Partial<EmbeddedPostgresOptions> = {}) => {
  const postgres = await startEmbeddedPostgres({ ...options, dataDir, ...more });
  onTestFinished(postgres.stop);
  return postgres;
};

/** Starts it in another process, with a share of its own. */
async function startElsewhere(dataDir: string, as: { uid?: number; gid?: number } = {}) {
  const script = fileURLToPath(new URL("embedded-process.ts", import.meta.url));
  const child = spawn(process.execPath, ["--import", "tsx", script, dataDir], {
    ...as,
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => kill(child));
  const [said] = await once(child.stdout, "data");
  return { child, ...(JSON.parse(String(said)) as { url: string; pid: number; fresh: boolean }) };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** Running, and no zombie: a process whose parent was killed may stay one, where the first process of the system waits for none. */
async function isWorking(pid: number): Promise<boolean> {
  const status = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => "");
  return isRunning(pid) && !status.includes(") Z");
}

async function query<Row>(url: string, statement: Statement): Promise<Row[]> {
  const session = await openSession(url, "test");
  return session.query<Row>(statement).finally(() => session.close());
}

/** How many processes use the database, as it knows: the connection of one that was killed ends a moment later. */
async function sharesOf(url: string): Promise<number> {
  const [row] = await query<{ shares: number }>(
    url,
    sql`SELECT count(*)::int AS shares FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'`,
  );
  return row?.shares ?? 0;
}

let folder: string;
/** Made by the first test, used by all. */
let dataDir: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "strait-embedded-"));
  await chmod(folder, 0o755);
  dataDir = join(folder, "project", ".strait", "postgres");
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("the embedded PostgreSQL", () => {
  test("is made at the first start, by one of those that start at once", async () => {
    const all = await Promise.all([start(dataDir), start(dataDir), start(dataDir)]);

    expect(all.filter(({ fresh }) => fresh)).toHaveLength(1);
    expect(new Set(all.map(({ pid }) => pid)).size).toBe(1);
    expect(all[0].version).toMatch(/^18\./);
    expect(
      await query(
        all[0].url,
        sql`SELECT datcollate, pg_encoding_to_char(encoding) AS encoding FROM pg_database LIMIT 1`,
      ),
    ).toEqual([{ datcollate: "C", encoding: "UTF8" }]);
  });

  test("keeps its data and its port", async () => {
    const first = await start(dataDir);
    await query(first.url, sql`CREATE TABLE kept ()`);
    await first.stop();
    expect(await isWorking(first.pid)).toBe(false);

    const second = await start(dataDir);

    expect(second).toMatchObject({ fresh: false, url: first.url });
    expect(await query(second.url, sql`SELECT FROM kept`)).toEqual([]);
  });

  test("commits to disk, and takes the memory that it is given", async () => {
    const { url } = await start(dataDir, { durable: true, sharedBuffers: "16MB" });

    const settings = await query(
      url,
      sql`SELECT current_setting('fsync') AS fsync, current_setting('synchronous_commit') AS synchronous_commit,
            current_setting('full_page_writes') AS full_page_writes, current_setting('listen_addresses') AS listen_addresses,
            current_setting('shared_buffers') AS shared_buffers`,
    );

    expect(settings).toEqual([
      {
        fsync: "on",
        synchronous_commit: "on",
        full_page_writes: "on",
        listen_addresses: "127.0.0.1",
        shared_buffers: "16MB",
      },
    ]);
  });

  test("lets nobody in without the password, which is a secret of the folder's owner", async () => {
    const { url } = await start(dataDir);
    const wrong = new URL(url);
    wrong.password = "wrong";

    await expect(openSession(wrong.href, "test")).rejects.toMatchObject({ code: "28P01" });
    expect((await stat(join(dataDir, "data", "strait_password"))).mode & 0o777).toBe(0o600);
    expect((await stat(join(dataDir, "data"))).mode & 0o777).toBe(0o700);
  });

  test("is shared by several processes, and stopped by the last", async () => {
    const elsewhere = await startElsewhere(dataDir);
    const here = await start(dataDir);
    expect(here).toMatchObject({ pid: elsewhere.pid, url: elsewhere.url, fresh: false });

    await here.stop();
    expect(await isWorking(here.pid)).toBe(true);

    const again = await start(dataDir);
    await kill(elsewhere.child);
    await eventually(async () => (await sharesOf(again.url)) === 1);
    await again.stop();
    expect(await isWorking(here.pid)).toBe(false);
  });

  test("is adopted when its process was killed", async () => {
    const killed = await startElsewhere(dataDir);
    await kill(killed.child);
    expect(await isWorking(killed.pid)).toBe(true);

    const here = await start(dataDir);

    expect(here).toMatchObject({ pid: killed.pid, fresh: false });
    await here.stop();
    expect(await isWorking(killed.pid)).toBe(false);
  });

  test("waits until one that is stopping has stopped", async () => {
    const first = await start(dataDir);

    const [, second] = await Promise.all([first.stop(), start(dataDir)]);

    expect(await query(second.url, sql`SELECT 1 AS one`)).toEqual([{ one: 1 }]);
  });

  test("recovers what was committed before it was killed", async () => {
    const killed = await start(dataDir, { durable: true });
    await query(killed.url, sql`CREATE TABLE survivor AS SELECT 1 AS id`);
    process.kill(killed.pid, "SIGKILL");

    const next = await start(dataDir);

    expect(next.pid).not.toBe(killed.pid);
    expect(await query(next.url, sql`SELECT id FROM survivor`)).toEqual([{ id: 1 }]);
    await killed.stop();
  });

  test("is not fooled by a lock file whose process is another one now", async () => {
    const lockFile = join(dataDir, "data", "postmaster.pid");
    await writeFile(lockFile, `${process.pid}\n${join(dataDir, "data")}\n1\n5432\n\n127.0.0.1\n  1  1\nready\n`);

    const postgres = await start(dataDir);

    expect(postgres.pid).not.toBe(process.pid);
  });

  test("is not fooled by a lock file that was copied from a running one", async () => {
    const original = await start(join(folder, "original"));
    const lock = await readFile(join(folder, "original", "data", "postmaster.pid"));
    await writeFile(join(dataDir, "data", "postmaster.pid"), lock);

    const postgres = await start(dataDir);

    expect(postgres.pid).not.toBe(original.pid);
    expect(await isWorking(original.pid)).toBe(true);
  });

  test("takes the port that it is told, and says when it is taken", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as { port: number };

    await expect(start(dataDir, { port })).rejects.toThrow(`Port ${port} is taken`);
    server.close();
    await once(server, "close");

    const { url } = await start(dataDir, { port });
    expect(new URL(url).port).toBe(String(port));
  });

  test("refuses the data of another major version, with the way out", async () => {
    const versionFile = join(dataDir, "data", "PG_VERSION");
    await writeFile(versionFile, "17\n");
    onTestFinished(() => writeFile(versionFile, "18\n"));

    await expect(start(dataDir)).rejects.toThrow(/made by PostgreSQL 17.*set DATABASE_URL/);
  });

  test("refuses a folder with something else in it", async () => {
    await mkdir(join(folder, "else", "data"), { recursive: true });
    await writeFile(join(folder, "else", "data", "photo.jpg"), "");

    await expect(start(join(folder, "else"))).rejects.toThrow("holds no database of PostgreSQL");
  });

  test("says when its folder cannot be made", async () => {
    await writeFile(join(folder, "file"), "");

    await expect(start(join(folder, "file", "data"))).rejects.toThrow(/Cannot make the folder .*STRAIT_DATA_DIR/);
  });
});

describe.runIf(isRoot())("the embedded PostgreSQL of root", () => {
  test("moves to a folder of its own when its user cannot enter the project, and says so", async () => {
    const closed = join(folder, "closed");
    await mkdir(closed, { mode: 0o700 });
    const said: string[] = [];
    const more = { fallbackDir: join(folder, "fallback"), log: (message: string) => said.push(message) };

    const first = await start(join(closed, ".strait"), more);
    const other = await start(join(closed, "other"), more);

    expect(said[0]).toMatch(new RegExp(`kept in ${folder}/fallback/[0-9a-f]{12}, because \\w+ cannot enter ${closed}`));
    expect(other.pid).not.toBe(first.pid);
  });

  test("says what to do when it may not move", async () => {
    const closed = join(folder, "shut");
    await mkdir(closed, { mode: 0o700 });

    await expect(start(join(closed, ".strait"))).rejects.toThrow(/who cannot enter .*shut; .*STRAIT_DATA_DIR/);
  });

  test("runs for an ordinary user too, whose data it then goes on with as that user", async () => {
    const home = join(folder, "home");
    await mkdir(home);
    await chown(home, NOBODY, NOBODY);
    const theirs = await startElsewhere(join(home, ".strait"), { uid: NOBODY, gid: NOBODY });
    expect((await stat(join(home, ".strait", "data"))).uid).toBe(NOBODY);

    await kill(theirs.child);
    const ours = await start(join(home, ".strait"));

    expect(ours).toMatchObject({ pid: theirs.pid, fresh: false });
  });
});

describe("a program of the embedded PostgreSQL that does not run", () => {
  test.each([
    ["is missing", "missing", undefined, /is missing; install again, or set DATABASE_URL/],
    ["needs another C library", "musl", "#!/lib/ld-musl-none.so.1\n", /has another C library .*set DATABASE_URL/],
    ["may not be run", "closed", "#!/bin/sh\n", /may not run .*set DATABASE_URL/],
    [
      "lacks a library",
      "library",
      "#!/bin/sh\necho 'initdb: error while loading shared libraries: libicuuc.so.60: cannot open' >&2; exit 127\n",
      /lacks the library libicuuc\.so\.60; install it, or set DATABASE_URL/,
    ],
    [
      "runs as a user without a name",
      "nameless",
      "#!/bin/sh\necho 'initdb: error: could not look up effective user ID 7: user does not exist' >&2; exit 1\n",
      /has no name on this system; .*set DATABASE_URL/,
    ],
    [
      "fails otherwise",
      "other",
      "#!/bin/sh\necho 'No space left' >&2; exit 1\n",
      /ended with 1 and said:\nNo space left/,
    ],
  ])("is explained when it %s", async (_, name, script, message) => {
    const file = join(folder, `program-${name}`);
    if (script !== undefined) await writeFile(file, script, { mode: name === "closed" ? 0o644 : 0o755 });
    const home = { directory: folder, data: join(folder, "none"), log: join(folder, "program.log"), user: undefined };

    const program = await startProgram(home, file, []);
    await program.end;

    expect((await explainFailure(home, program)).message).toMatch(message);
  });
});

test("library links that an install without scripts leaves out are made", async () => {
  const native = join(folder, "native");
  await mkdir(join(native, "lib"), { recursive: true });
  await writeFile(join(native, "lib", "libz.so.1.2"), "library");
  const links = [{ source: "native/lib/libz.so.1.2", target: "native/lib/libz.so" }];
  await writeFile(join(native, "pg-symlinks.json"), JSON.stringify(links));

  expect(await makeLinks(native)).toBe(true);

  expect(await readFile(join(native, "lib", "libz.so"), "utf8")).toBe("library");
});
