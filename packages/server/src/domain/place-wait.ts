import type { EventTrigger, OnConflict } from "@strait/contract";
import { keyInUse, mixedKey } from "./errors.ts";

/** What of a wait decides where it opens. */
export interface ToPlace {
  readonly broadcast: boolean;
  readonly on_conflict: OnConflict;
}

/**
 * Where a wait opens, given what waits on its key: alone, beside it, or instead of it.
 *
 * @throws {StraitError} `key_in_use` when the two cannot share the key.
 */
export function placeBeside(waiting: readonly EventTrigger[], wait: ToPlace): "alone" | "beside" | "instead" {
  const [first] = waiting;
  if (!first) return "alone";
  if (first.broadcast !== wait.broadcast) throw mixedKey(first);
  if (wait.broadcast || wait.on_conflict === "join") return "beside";
  if (wait.on_conflict === "replace") return "instead";
  throw keyInUse(first);
}
