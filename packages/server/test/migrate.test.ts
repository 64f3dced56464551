import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { migrate } from "../src/store/migrate.ts";
import { openSession } from "../src/store/session.ts";
import { type Statement, sql } from "../src/store/sql.ts";
import { emptyDatabase, freshDatabase } from "./database.ts";

const numbers = { "0001_numbers": "CREATE TABLE numbers (n integer);", "0002_one": "INSERT INTO numbers VALUES (1);" };

async function folderOf(files: Readonly<Record<string, string>>): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "strait-migrations-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await add(directory, files);
  return directory;
}

async function add(directory: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(directory, `${name}.sql`), text);
}

async function query<Row>(url: string, statement: Statement): Promise<Row[]> {
  const session = await openSession(url, "test");
  return session.query<Row>(statement).finally(() => session.close());
}

describe("migrating", () => {
  test("applies what is missing, in order, once", async () => {
    const { url } = await emptyDatabase();
    const directory = await folderOf(numbers);

    expect(await migrate(url, { directory })).toEqual(["0001_numbers", "0002_one"]);
    expect(await migrate(url, { directory })).toEqual([]);
    await add(directory, { "0003_two": "INSERT INTO numbers VALUES (2);" });
    expect(await migrate(url, { directory })).toEqual(["0003_two"]);

    expect(await query(url, sql`SELECT n FROM numbers ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }]);
  });

  test("is done by one of many processes that start at once", async () => {
    const { url } = await emptyDatabase();
    const directory = await folderOf({ ...numbers, "0003_slow": "SELECT pg_sleep(0.2);" });

    const applied = await Promise.all(Array.from({ length: 5 }, () => migrate(url, { directory })));

    expect(applied.filter((names) => names.length > 0)).toEqual([["0001_numbers", "0002_one", "0003_slow"]]);
    expect(await query(url, sql`SELECT n FROM numbers`)).toEqual([{ n: 1 }]);
  });

  test("names the file and the line that failed, and keeps what went before", async () => {
    const { url } = await emptyDatabase();
    const directory = await folderOf({ ...numbers, "0003_bad": "CREATE TABLE half ();\n\nCREATE TABEL whole ();\n" });

    await expect(migrate(url, { directory })).rejects.toThrow(
      /^Migration 0003_bad failed at line 3: syntax error at or near "TABEL"\. Nothing of it was applied\.$/,
    );

    expect(await query(url, sql`SELECT to_regclass('half') AS half, to_regclass('numbers') AS numbers`)).toEqual([
      { half: null, numbers: "numbers" },
    ]);
  });

  test("refuses a database that a newer version has migrated", async () => {
    const { url } = await emptyDatabase();
    await migrate(url, { directory: await folderOf({ ...numbers, "0003_new": "SELECT 1;" }) });

    await expect(migrate(url, { directory: await folderOf(numbers) })).rejects.toThrow(
      "The database has migration 0003_new, which this version does not know",
    );
  });

  test("refuses a migration that comes before one that was applied", async () => {
    const { url } = await emptyDatabase();
    const directory = await folderOf({ "0002_second": "SELECT 1;" });
    await migrate(url, { directory });
    await add(directory, { "0001_late": "SELECT 1;" });

    await expect(migrate(url, { directory })).rejects.toThrow("Migration 0001_late sorts before 0002_second");
  });

  test("has brought the server's own database up to date", async () => {
    const { url } = await freshDatabase();
    const files = await readdir(fileURLToPath(new URL("../migrations", import.meta.url)));

    const applied = await query<{ name: string }>(url, sql`SELECT name FROM strait_migrations ORDER BY id`);

    expect(applied.map(({ name }) => `${name}.sql`)).toEqual(files.filter((file) => file.endsWith(".sql")).sort());
    expect(await migrate(url)).toEqual([]);
  });
});

describe("a database that cannot be reached", () => {
  const change = (part: Partial<Pick<URL, "port" | "hostname" | "password" | "pathname">>) =>
    Object.assign(new URL(inject("testDatabase").url), part).href;

  test.each([
    ["port", () => change({ port: "1" }), /^No PostgreSQL answers at 127\.0\.0\.1:1; start it, correct DATABASE_URL/],
    ["host", () => change({ hostname: "nowhere.invalid" }), /^The database host nowhere\.invalid:\d+ is not known/],
    ["password", () => change({ password: "secret" }), /refuses this user or password; correct them in DATABASE_URL/],
    ["name", () => change({ pathname: "missing" }), /^There is no database "missing" at 127\.0\.0\.1:\d+; create it/],
  ])("is reported by its %s, without the password", async (_, url, message) => {
    const failure = await migrate(url()).catch((error: Error) => error);

    expect(failure).toMatchObject({ name: "StartupError", message: expect.stringMatching(message) });
    expect(String(failure)).not.toContain(new URL(url()).password);
  });
});
