import type { EventTrigger } from "@strait/contract";
import { expect, test } from "vitest";
import { placeBeside } from "./place-wait.ts";

const alone = { broadcast: false, on_conflict: "fail" } as const;

/** Nothing else of a trigger is looked at. */
const waiting = (broadcast: boolean) => [
  { id: "trg_1", event_key: "k", job_run_id: "run_1", workflow_run_id: null, broadcast } as EventTrigger,
];

test("a wait opens alone where nobody waits", () => {
  expect(placeBeside([], alone)).toBe("alone");
});

test("a wait on a held key fails, replaces or joins, as it asks to (U2)", () => {
  expect(() => placeBeside(waiting(false), alone)).toThrow(expect.objectContaining({ code: "key_in_use" }));
  expect(placeBeside(waiting(false), { ...alone, on_conflict: "replace" })).toBe("instead");
  expect(placeBeside(waiting(false), { ...alone, on_conflict: "join" })).toBe("beside");
});

test("broadcasts share a key, and do not mix with other waits (U3)", () => {
  expect(placeBeside(waiting(true), { ...alone, broadcast: true })).toBe("beside");
  expect(() => placeBeside(waiting(true), alone)).toThrow("with broadcast");
  expect(() => placeBeside(waiting(false), { ...alone, broadcast: true })).toThrow("without broadcast");
});
