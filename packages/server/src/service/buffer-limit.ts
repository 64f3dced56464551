import type { SendDecision } from "../domain/decide-send.ts";
import { bufferFull } from "../domain/errors.ts";
import type { Transaction } from "../store/database.ts";
import * as events from "../store/events.ts";
import { keyOf, type Sending } from "./sending.ts";

/**
 * Refuses events for which their keys have no room, in the order of their arrival: each of them is looked at by the wait
 * that opens. The caller holds the keys' rows, so the number is exact.
 */
export async function limitBuffered(
  tx: Transaction,
  sends: readonly Sending[],
  decisions: Map<Sending, SendDecision>,
): Promise<void> {
  const buffering = sends.filter((send) => decisions.get(send)?.kind === "buffer");
  if (buffering.length === 0) return;
  const rooms = new Map((await events.roomOf(tx, buffering)).map((room) => [keyOf(room), { ...room }]));
  for (const send of buffering) {
    const room = rooms.get(keyOf(send));
    if (!room) continue;
    if (room.left > 0) room.left -= 1;
    else decisions.set(send, { kind: "refuse", error: bufferFull(send.event_key, room.max), record: null });
  }
}
