import { describe, expect, test } from "vitest";
import { openSession } from "../src/store/session.ts";
import { sql } from "../src/store/sql.ts";
import { freshDatabase } from "./database.ts";

describe("a fresh database", () => {
  test("is migrated", async () => {
    const { url } = await freshDatabase();
    const session = await openSession(url, "test");

    expect(await session.query(sql`SELECT count(*)::int AS n FROM projects`)).toEqual([{ n: 0 }]);

    await session.close();
  });

  test("is nobody else's, and is gone after its test although it was left open", async () => {
    const [one, other] = [await freshDatabase(), await freshDatabase()];
    const session = await openSession(one.url, "test");

    await session.query(sql`CREATE TABLE mark ()`);

    const elsewhere = await openSession(other.url, "test");
    await expect(elsewhere.query(sql`SELECT FROM mark`)).rejects.toMatchObject({ code: "42P01" });
  });
});
