import { randomUUID } from "node:crypto";
import { inject, onTestFinished } from "vitest";
import { openSession, type Session } from "../src/store/session.ts";

export interface FreshDatabase {
  readonly name: string;
  readonly url: string;
}

let admin: Promise<Session> | undefined;

/** A migrated database for the test that calls this, and for it alone; dropped when the test has finished. */
export async function freshDatabase(): Promise<FreshDatabase> {
  return cloneOf(inject("testDatabase").template);
}

/** The same without a table in it. */
export async function emptyDatabase(): Promise<FreshDatabase> {
  return cloneOf("template1");
}

async function cloneOf(template: string): Promise<FreshDatabase> {
  const { url, options } = inject("testDatabase");
  const name = `strait_test_${randomUUID().replaceAll("-", "")}`;
  await administer(url, `CREATE DATABASE ${name} TEMPLATE ${template} ${options}`);
  onTestFinished(() => administer(url, `DROP DATABASE ${name} WITH (FORCE)`));
  const own = new URL(url);
  own.pathname = name;
  return { name, url: own.href };
}

async function administer(url: string, text: string): Promise<void> {
  admin ??= openSession(url, "strait tests");
  await (await admin).query({ text, values: [] });
}
