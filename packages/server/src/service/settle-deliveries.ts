import type { LatestTrigger } from "../domain/decide-send.ts";
import type { Transaction } from "../store/database.ts";
import type { KeySettlement } from "../store/key-settlements.ts";
import { type EventKey, nameLatest } from "../store/key-waits.ts";
import * as settlements from "../store/settlements.ts";
import type { Context } from "./context.ts";
import type { Sending } from "./sending.ts";
import { settleWaits, timedOut } from "./settle-waits.ts";

/** An event, and the waits that it ends. */
export interface Delivery {
  readonly send: Sending;
  /** The one that the answer shows. */
  readonly met: LatestTrigger;
  readonly others: readonly LatestTrigger[];
  readonly latest: LatestTrigger | undefined;
}

/** More in one statement gains nothing; every wait carries the payload to it. */
const MAX_ROWS = 500;
const MAX_BYTES = 4 * 1024 * 1024;

/** What became of deliveries. */
export interface Settled {
  readonly received: readonly settlements.SettledTrigger[];
  /** Waits whose deadline came first. */
  readonly late: readonly settlements.SettledTrigger[];
  /** The wait that the answer to each send shows: the one that it met, if it was in time, or else another; none if none was. */
  readonly takers: ReadonlyMap<Sending, LatestTrigger>;
  /** Sends that were taken, but not by the wait that records their events. */
  readonly unrecorded: ReadonlySet<Sending>;
}

/** Ends the waits of each delivery with its event. The caller holds them, and the rows of their keys. */
export async function settleDeliveries(
  context: Context,
  tx: Transaction,
  deliveries: readonly Delivery[],
  reserved: ReadonlyMap<Sending, number | null>,
): Promise<Settled> {
  const received: settlements.SettledTrigger[] = [];
  let rows: settlements.Settlement[] = [];
  let bytes = 0;
  const flush = async () => {
    received.push(...(await settlements.settle(tx, "receive", rows)));
    rows = [];
    bytes = 0;
  };
  for (const { send, met, others } of deliveries) {
    for (const { id } of [met, ...others]) {
      const isMet = id === met.id;
      const row = { ...settlement(context, send, isMet ? reserved.get(send) : null), id, due: false };
      rows.push(isMet ? row : { ...row, event_id: null });
      bytes += send.payload_text.length;
      if (rows.length === MAX_ROWS || bytes > MAX_BYTES) await flush();
    }
  }
  if (rows.length > 0) await flush();
  // A repeat of the event has to meet an answer, not a wait that was called off by itself.
  const takers = takersOf(deliveries, received);
  await nameLatest(
    tx,
    deliveries.flatMap(({ send, latest }) => {
      const taker = takers.get(send);
      if (!taker || taker.id === latest?.id) return [];
      return [{ ...keyIn(send), generation: taker.generation, trigger_id: taker.id }];
    }),
  );
  const unrecorded = deliveries.filter(({ send, met }) => takers.has(send) && takers.get(send)?.id !== met.id);
  return {
    received,
    late: await timeOutRest(context, tx, deliveries, received),
    takers,
    unrecorded: new Set(unrecorded.map(({ send }) => send)),
  };
}

/** Ends those whose deadline has come since the look: whoever notices does (R2). */
async function timeOutRest(
  context: Context,
  tx: Transaction,
  deliveries: readonly Delivery[],
  received: readonly settlements.SettledTrigger[],
): Promise<readonly settlements.SettledTrigger[]> {
  const inTime = new Set(received.map(({ id }) => id));
  const rest = deliveries.flatMap(({ met, others }) => [met, ...others]).filter(({ id }) => !inTime.has(id));
  if (rest.length === 0) return [];
  const ends = rest.map(({ project_id, id }) => timedOut(project_id, id));
  return settleWaits(context, tx, "timeOut", true, ends);
}

const keyIn = ({ project_id, environment_id, event_key }: EventKey): EventKey => ({
  project_id,
  environment_id,
  event_key,
});

function takersOf(
  deliveries: readonly Delivery[],
  received: readonly settlements.SettledTrigger[],
): ReadonlyMap<Sending, LatestTrigger> {
  const byId = new Map(received.map((trigger) => [trigger.id, trigger]));
  const takers = new Map<Sending, LatestTrigger>();
  for (const { send, met, others } of deliveries) {
    const id = [met, ...others.toReversed()].map((wait) => wait.id).find((one) => byId.has(one));
    const taker = id === undefined ? undefined : byId.get(id);
    if (taker) takers.set(send, { ...taker, overdue: false });
  }
  return takers;
}

/** A send as the statement takes it that ends waits. */
export function settlement(context: Context, send: Sending, leaseId: number | null | undefined): KeySettlement {
  return {
    project_id: send.project_id,
    environment_id: send.environment_id,
    event_key: send.event_key,
    generation: send.generation,
    trigger_id: send.trigger_id,
    payload: send.payload_text,
    actor: send.actor,
    channel: send.channel,
    event_id: send.event_id,
    idempotency_key: send.idempotency_key,
    delivery_id: context.clock.newId("whd"),
    error: null,
    lease_id: leaseId ?? null,
  };
}
