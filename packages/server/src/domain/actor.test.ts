import { expect, test } from "vitest";
import { actorOf } from "./actor.ts";

test.each([
  ["apikey:key_1", "service", "key_1", "api_key"],
  ["internal", "operator", null, "internal_secret"],
  ["run:run_1", "run", "run_1", "run_token"],
  ["workflow_run:wfr_1", "workflow_run", "wfr_1", null],
  ["system", "system", null, null],
])("W1 %s is told apart by kind, id and how it was known", (text, kind, id, authenticated_by) => {
  expect(actorOf(text)).toEqual({ kind, id, authenticated_by });
});
