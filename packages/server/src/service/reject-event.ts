import type { Cancellation, Disposition, SentEvent } from "@strait/contract";
import { decideReject, type Rejection } from "../domain/decide-send.ts";
import { notFound, type StraitError } from "../domain/errors.ts";
import * as events from "../store/events.ts";
import * as triggers from "../store/triggers.ts";
import type { Caller, Context } from "./context.ts";
import { withCurrent } from "./current-wait.ts";
import { done, refused } from "./lane.ts";
import { digestOf, wire } from "./sending.ts";
import { announceSettled } from "./settle-waits.ts";

export interface RejectEvent extends Rejection {
  readonly idempotency_key: string | null;
}

type Outcome = { readonly settled: readonly triggers.SettledTrigger[] } & (
  | { readonly answer: SentEvent; readonly error?: never }
  | { readonly error: StraitError; readonly answer?: never }
);

/**
 * Answers the wait on a key with an error (S5): the same decisions, records and effects as for an event, but that the
 * wait ends as `canceled`, and that nothing is buffered.
 *
 * @throws {StraitError} `not_found`, `stale_generation`, `already_resolved`, `wait_closed`.
 */
export async function rejectEvent(context: Context, caller: Caller, rejection: RejectEvent): Promise<SentEvent> {
  const { projectId: project_id, environmentId: environment_id, actor } = caller;
  const { event_key, reason, details, idempotency_key } = rejection;
  const cancellation: Cancellation = { kind: "rejected", reason, actor, details };
  const event = {
    project_id,
    actor,
    channel: "api",
    idempotency_key,
    payload: JSON.stringify(cancellation),
    payload_digest: digestOf(cancellation),
  };
  const event_id = context.clock.newId("evt");
  const { settled, answer, error } = await context.db.transaction((tx) =>
    withCurrent<Outcome>(context, tx, { project_id, environment_id, event_key }, async ({ latest, settled }) => {
      const decision = decideReject(latest, rejection);
      // Thrown here, so that the row of a key that nobody knows is rolled back.
      if (!latest) throw decision.kind === "refuse" ? decision.error : notFound("event trigger", event_key);
      if (decision.kind === "deliver") {
        const delivery_id = context.clock.newId("whd");
        const why = `event trigger rejected by ${actor}: ${reason}`;
        const end = { ...event, id: latest.id, event_id, delivery_id, error: why, due: false, lease_id: null };
        const [rejected] = await triggers.settle(tx, "reject", [end]);
        return rejected && { settled: [rejected], answer: { ...wire(rejected), disposition: "delivered" } };
      }
      const disposition: Disposition | null = decision.kind === "refuse" ? decision.record : "duplicate";
      if (disposition !== null) {
        const { id: trigger_id, generation } = latest;
        const met = { environment_id, event_key, trigger_id, generation, is_rejection: true, for_next: false };
        const row: events.NewEvent = { ...event, ...met, id: event_id, disposition, ttl_secs: null };
        await events.insert(tx, [row]);
      }
      return decision.kind === "refuse"
        ? { settled, error: decision.error }
        : { settled, answer: { ...wire(latest), disposition: "duplicate" } };
    }),
  );
  announceSettled(context, settled);
  context.metrics.sent(answer ? done({ body: answer }) : refused(error));
  if (error) throw error;
  return answer;
}
