import { randomUUID } from "node:crypto";
import { inject, onTestFinished } from "vitest";
import { openSession, type Session } from "../src/store/session.ts";

export interface FreshDatabase {
  readonly name: string;
  readonly url: string;
}

export interface OwnedDatabase extends FreshDatabase {
  drop(): Promise<void>;
}

let admin: Promise<Session> | undefined;

/** A migrated database for the test that calls this, and for it alone; dropped when the test has finished. */
export async function freshDatabase(): Promise<FreshDatabase> {
  return droppedWithTest(await createDatabase());
}

/** The same without a table in it. */
export async function emptyDatabase(): Promise<FreshDatabase> {
  return droppedWithTest(await createDatabase("template1"));
}

function droppedWithTest(database: OwnedDatabase): FreshDatabase {
  onTestFinished(database.drop);
  return database;
}

/** The same for several tests: whoever makes it drops it. */
export async function createDatabase(template = inject("testDatabase").template): Promise<OwnedDatabase> {
  const { url, options } = inject("testDatabase");
  const name = `strait_test_${randomUUID().replaceAll("-", "")}`;
  await administer(url, `CREATE DATABASE ${name} TEMPLATE ${template} ${options}`);
  const own = new URL(url);
  own.pathname = name;
  return { name, url: own.href, drop: () => administer(url, `DROP DATABASE ${name} WITH (FORCE)`) };
}

async function administer(url: string, text: string): Promise<void> {
  admin ??= openSession(url, "strait tests");
  await (await admin).query({ text, values: [] });
}
