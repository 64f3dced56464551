import type { Cancellation, Disposition, EventTrigger, SentEvent } from "@strait/contract";
import { decideReject, type Rejection } from "../domain/decide-send.ts";
import { notFound, type StraitError } from "../domain/errors.ts";
import { metBy } from "../domain/meet.ts";
import { waitRejected } from "../domain/reasons.ts";
import * as events from "../store/events.ts";
import { nameLatest } from "../store/key-waits.ts";
import * as settlements from "../store/settlements.ts";
import type { Caller, Context } from "./context.ts";
import { withCurrent } from "./current-wait.ts";
import { done, refused } from "./lane.ts";
import { wire } from "./sending.ts";
import { announceSettled } from "./settle-waits.ts";
import { decideGroups } from "./wait-groups.ts";

export interface RejectEvent extends Rejection {
  readonly idempotency_key: string | null;
}

type Outcome = { readonly settled: readonly settlements.SettledTrigger[] } & (
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
  };
  const key = { project_id, environment_id, event_key };
  const named = { ...key, trigger_id: rejection.trigger_id, generation: rejection.generation };
  const event_id = context.clock.newId("evt");
  const { settled, answer, error } = await context.db.transaction((tx) =>
    withCurrent<Outcome>(context, tx, named, async ({ standing, settled }) => {
      const record = ({ id: trigger_id, generation }: EventTrigger, disposition: Disposition) => {
        const row = { ...event, id: event_id, environment_id, event_key, trigger_id, generation, disposition };
        const unused = { for_next: false, ttl_secs: null, issues: null, dead_letter_reason: null };
        return events.insert(tx, [{ ...row, ...unused, is_rejection: true }]);
      };
      const met = metBy(standing, rejection.trigger_id);
      const decision = decideReject(met, rejection, standing.deleted);
      // Thrown here, so that the row of a key that nobody knows is rolled back.
      if (!met) throw decision.kind === "refuse" ? decision.error : notFound("event trigger", event_key);
      if (decision.kind === "deliver") {
        const end = { ...event, error: waitRejected(actor, reason), due: false, lease_id: null };
        const rejected = await settlements.settle(
          tx,
          "reject",
          standing.waiting.map(({ id }) => ({ ...end, id, event_id: null, delivery_id: context.clock.newId("whd") })),
        );
        // The deadline of the one that was met may have passed since the look; others of the generation have longer.
        const shown = rejected.find(({ id }) => id === met.id) ?? rejected[0];
        if (!shown) return undefined;
        await record(shown, "delivered");
        if (shown.id !== standing.latest?.id) {
          await nameLatest(tx, [{ ...key, generation: shown.generation, trigger_id: shown.id }]);
        }
        const besides = await decideGroups(context, tx, rejected);
        return { settled: [...settled, ...rejected, ...besides], answer: wire(shown, "delivered") };
      }
      const disposition: Disposition | null = decision.kind === "refuse" ? decision.record : "duplicate";
      if (disposition !== null) await record(met, disposition);
      return decision.kind === "refuse"
        ? { settled, error: decision.error }
        : { settled, answer: wire(met, "duplicate") };
    }),
  );
  announceSettled(context, settled);
  context.metrics.sent(answer ? done({ body: answer }) : refused(error));
  if (error) throw error;
  return answer;
}
