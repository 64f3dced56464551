import { claimDeliveries, DELIVERY_TIMEOUT_MS, headersOf, refusalOf } from "../../service/claim-delivery.ts";
import type { Context } from "../../service/context.ts";
import { type DeliveryResult, finishDelivery } from "../../service/finish-delivery.ts";
import type { Signer } from "../../service/signing.ts";
import * as deliveries from "../../store/deliveries.ts";
import type { Task } from "../loop.ts";
import type { CallResult, Outbound } from "../outbound.ts";

export interface DeliverWebhooksOptions {
  readonly context: Context;
  readonly signer: Signer;
  /** Pools of its own: a slow receiver takes no connection from the runs. */
  readonly outbound: Outbound;
  readonly onError: (error: unknown) => void;
}

export interface DeliverWebhooks extends Task {
  /** Claims nothing more and lets attempts end for at most `timeoutMs`; what is left then is given back. */
  drain(timeoutMs: number): Promise<void>;
}

/** An attempt that is under way. */
interface Flight {
  readonly projectId: string;
  abort: () => void;
  readonly landed: Promise<void>;
}

/** Nothing is claimed while so many attempts are under way; a claim may add a batch to them. */
const ROOM = 48;
/** A project whose receivers hang leaves room for the others. */
const ROOM_PER_PROJECT = 32;
const HORIZON_MS = 1_000;

/**
 * Attempts webhook deliveries that are due. A tick claims and sets out; attempts end by themselves, so that one slow
 * receiver holds up nobody. Holds nothing that a kill would lose: a claim that is not finished runs out.
 */
export function deliverWebhooks(options: DeliverWebhooksOptions): DeliverWebhooks {
  const { context, signer, outbound, onError } = options;
  const flights = new Set<Flight>();
  let isDraining = false;

  function busyProjects(): string[] {
    const counts = new Map<string, number>();
    for (const { projectId } of flights) counts.set(projectId, (counts.get(projectId) ?? 0) + 1);
    return [...counts].filter(([, count]) => count >= ROOM_PER_PROJECT).map(([projectId]) => projectId);
  }

  function setOut(delivery: deliveries.ClaimedDelivery): void {
    const flight = { projectId: delivery.project_id, abort: () => {}, landed: Promise.resolve() };
    flights.add(flight);
    flight.landed = attempt(delivery, flight)
      .catch(onError)
      .finally(() => {
        const wasFull = flights.size >= ROOM || busyProjects().includes(flight.projectId);
        flights.delete(flight);
        if (wasFull && !isDraining) context.signals.publish(["deliveries"]);
      });
  }

  async function attempt(delivery: deliveries.ClaimedDelivery, flight: Flight): Promise<void> {
    const refusal = refusalOf(context, delivery);
    if (refusal !== undefined) return finishDelivery(context, delivery, { kind: "refused", error: refusal });
    const result = await outbound.post({
      url: delivery.webhook_url,
      headers: headersOf(context, signer, delivery),
      body: delivery.payload,
      timeoutMs: DELIVERY_TIMEOUT_MS,
      onAbortable: (abort) => {
        flight.abort = abort;
      },
    });
    if (result.kind === "aborted") return deliveries.release(context.db, delivery);
    await finishDelivery(context, delivery, toDeliveryResult(result));
  }

  return {
    name: "deliver-webhooks",
    idleMs: HORIZON_MS,
    async tick() {
      if (isDraining || flights.size >= ROOM) return { handled: 0 };
      const busy = busyProjects();
      const claimed = await claimDeliveries(context, busy);
      for (const delivery of claimed) {
        if (isDraining) await deliveries.release(context.db, delivery);
        else setOut(delivery);
      }
      if (claimed.length > 0) return { handled: claimed.length };
      return { handled: 0, nextMs: await deliveries.msUntilDue(context.db, HORIZON_MS, busy) };
    },
    async drain(timeoutMs) {
      isDraining = true;
      const timer = setTimeout(() => {
        for (const flight of flights) flight.abort();
      }, timeoutMs);
      await Promise.all([...flights].map((flight) => flight.landed));
      clearTimeout(timer);
    },
  };
}

/** The answer's body says nothing, so one that is too large is as good as any. */
function toDeliveryResult(result: Exclude<CallResult, { kind: "aborted" }>): DeliveryResult {
  switch (result.kind) {
    case "answer":
    case "too_large":
      return { kind: "answer", status: result.status };
    case "timeout":
      return { kind: "no_answer", error: `the receiver did not answer within ${DELIVERY_TIMEOUT_MS / 1000} seconds` };
    case "error":
      return { kind: result.code === "EPRIVATE" ? "refused" : "no_answer", error: result.message };
  }
}
