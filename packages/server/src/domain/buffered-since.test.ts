import { expect, test } from "vitest";
import { bufferedSince } from "./buffered-since.ts";

const STARTED = "2026-11-21T10:00:00.000000Z";

test.each([
  ["any", null],
  ["since_run_start", STARTED],
  ["none", "none"],
] as const)("B2 a wait that accepts %s of what was buffered takes what came since %s", (accept, since) => {
  const found = bufferedSince(accept, STARTED);

  expect(found).toBe(since);
});
