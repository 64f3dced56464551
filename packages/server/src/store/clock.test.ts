import { TypeID } from "typeid-js";
import { describe, expect, it, vi } from "vitest";
import { databaseClock } from "./clock.ts";
import type { Queryable } from "./sql.ts";

const uuidOf = (id: string): string => TypeID.fromString(id).toUUID();
const msOf = (id: string): number => Number.parseInt(uuidOf(id).replaceAll("-", "").slice(0, 12), 16);

describe("an id", () => {
  it("is a TypeID of a UUID version 7 that tells when it was made", () => {
    const clock = databaseClock();

    const before = Date.now();
    const ids = Array.from({ length: 2_000 }, () => clock.newId("run"));
    const after = Date.now();

    for (const id of ids) {
      expect(id).toMatch(/^run_/);
      expect(uuidOf(id)).toMatch(/^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
      expect(msOf(id)).toBeGreaterThanOrEqual(before);
      expect(msOf(id)).toBeLessThanOrEqual(after);
    }
  });

  it("ascends and is unique, however many are made in one millisecond and wherever the clock goes", () => {
    const now = vi.spyOn(Date, "now").mockReturnValue(1_800_000_000_000);
    const clock = databaseClock();

    const ids = Array.from({ length: 10_000 }, () => clock.newId("evt"));
    now.mockReturnValue(1_700_000_000_000);
    ids.push(clock.newId("evt"));
    now.mockRestore();

    expect(ids).toEqual([...new Set(ids)].toSorted());
  });

  it("tells the time of the database by the answer that came fastest", async () => {
    const clock = databaseClock();
    const now = vi.spyOn(Date, "now").mockReturnValue(1_800_000_000_000);
    const answers = [
      { now_ms: 1_700_000_000_000, tookMs: 400 },
      { now_ms: 1_900_000_000_000, tookMs: 2 },
      { now_ms: 1_600_000_000_000, tookMs: 30 },
    ];
    const db = {
      query: async () => {
        const { now_ms, tookMs } = answers.shift() ?? { now_ms: Number.NaN, tookMs: 0 };
        now.mockReturnValue(Date.now() + tookMs);
        return [{ now_ms }];
      },
    };

    await clock.synchronize(db as object as Queryable);

    const passedMs = 400 + 2 + 30;
    expect(Math.abs(msOf(clock.newId("run")) - 1_900_000_000_000)).toBeLessThan(passedMs);
    now.mockRestore();
  });

  it("is not before the first one of its time", () => {
    const clock = databaseClock();

    const id = clock.newId("trg");

    expect(clock.firstId("trg", msOf(id))).toBe(`${id.slice(0, -16)}${"0".repeat(16)}`);
    expect(clock.firstId("trg", msOf(id) + 1) > id).toBe(true);
  });
});
