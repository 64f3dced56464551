import { describe, expect, test } from "vitest";
import { createChecklist, Unmet } from "../src/checklist.ts";

const never = new Promise<never>(() => {});
const running = new AbortController().signal;

describe("a checklist", () => {
  test("passes on what happens, and remembers it", async () => {
    const checklist = createChecklist(running);

    const value = await checklist.happens("it rains", Promise.resolve("rain"));
    checklist.equals("it is wet", { wet: true }, { wet: true });

    expect(value).toBe("rain");
    expect(checklist.kept).toEqual(["it rains", "it is wet"]);
  });

  test("says what did not happen in time", async () => {
    const checklist = createChecklist(running, 1);

    const happening = checklist.happens("it rains", never);

    await expect(happening).rejects.toThrow(new Unmet("it rains: it did not happen within 0.001 s"));
    expect(checklist.kept).toEqual([]);
  });

  test("says why something failed, and what is not as it should be", async () => {
    const checklist = createChecklist(running);

    const happening = checklist.happens("it rains", Promise.reject(new Error("no clouds")));

    await expect(happening).rejects.toThrow(new Unmet("it rains: no clouds"));
    expect(() => checklist.equals("it is wet", "dry", "wet")).toThrow(
      new Unmet('it is wet: expected "wet", got "dry"'),
    );
  });

  test("ends with the reason of the signal when the demo is stopped", async () => {
    const stop = new AbortController();
    const checklist = createChecklist(stop.signal);

    const happening = checklist.happens("it rains", never);
    stop.abort(new Error("enough"));

    await expect(happening).rejects.toThrow("enough");
    await expect(checklist.happens("it snows", never)).rejects.toThrow("enough");
  });
});
