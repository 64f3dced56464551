import { TypeID } from "typeid-js";
import { describe, expect, it, vi } from "vitest";
import { databaseClock } from "./clock.ts";

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

  it("is not before the first one of its time", () => {
    const clock = databaseClock();

    const id = clock.newId("trg");

    expect(clock.firstId("trg", msOf(id))).toBe(`${id.slice(0, -16)}${"0".repeat(16)}`);
    expect(clock.firstId("trg", msOf(id) + 1) > id).toBe(true);
  });
});
