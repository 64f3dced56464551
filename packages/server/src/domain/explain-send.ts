import type { EventRecord, EventTrigger, Explanation, NearKey, SendOutlook } from "@strait/contract";
import type { LatestTrigger } from "./decide-send.ts";

/**
 * Says why this became of an event.
 *
 * @param met - The wait that it met, if that is still there.
 */
export function explainEvent(event: EventRecord, met: EventTrigger | undefined): Explanation {
  const wait = event.generation === null ? "the wait" : `the wait of generation ${event.generation}`;
  switch (event.disposition) {
    case "delivered":
      return explainDelivery(event, met, wait);
    case "recorded":
      return { rule: "D3", text: `It counts for ${wait}, which needs more before it ends.` };
    case "duplicate":
      return event.is_rejection
        ? { rule: "S5", text: `The same rejection had ended ${wait} before, so nothing happened.` }
        : {
            rule: "S1",
            text: `An equal payload had answered ${wait} before, so nothing happened. Sending again is safe.`,
          };
    case "buffered":
      return event.for_next
        ? {
            rule: "B3",
            text: `It was sent with for_next, so it is kept until ${event.expires_at} for the next wait on the key.`,
          }
        : event.trigger_id !== null
          ? {
              rule: "B1",
              text: `The filter of ${wait} is not true of it, so it is kept until ${event.expires_at} for another wait on the key.`,
            }
          : {
              rule: "B1",
              text: `Nobody had waited on the key, so it is kept until ${event.expires_at} for the first wait.`,
            };
    case "conflict":
      return {
        rule: "S1",
        text: `Another payload had answered ${wait} before, and the first answer wins. Read the trigger to see which it was.`,
      };
    case "late":
      return { rule: met?.status === "timed_out" ? "R2" : "B3", text: lateText(met, wait) };
    case "rejected":
      return met && event.created_at < met.requested_at
        ? {
            rule: "B8",
            text: `It was kept until ${wait} opened, which does not take its payload: see issues.`,
          }
        : {
            rule: "D6",
            text: `${wait[0]?.toUpperCase()}${wait.slice(1)} does not take its payload, and stays open: see issues.`,
          };
    case "expired":
      return {
        rule: "B7",
        text: "It was kept, and nobody waited on the key in time. An event that has expired is never delivered.",
      };
  }
}

function explainDelivery(event: EventRecord, met: EventTrigger | undefined, wait: string): Explanation {
  if (event.is_rejection) return { rule: "S5", text: `It ended ${wait} as canceled, with the reason that it gave.` };
  return met && event.created_at < met.requested_at
    ? { rule: "B2", text: `It came before anybody waited, was kept, and answered ${wait} as soon as that opened.` }
    : { rule: "R1", text: `Somebody waited, so it ended ${wait} as received.` };
}

function lateText(met: EventTrigger | undefined, wait: string): string {
  const how = met ? ` as ${met.status} at ${met.finished_at}` : "";
  return `It came after ${wait} had ended${how}. What is late is not kept for the next wait, unless it is sent with for_next.`;
}

/** Says what a send with a new payload would meet now. */
export function explainNow(latest: LatestTrigger | undefined): SendOutlook {
  if (!latest) {
    const text =
      "Nobody has ever waited on this key, so an event is kept for the first wait, for 7 days or `ttl_secs`; with `if_no_waiter: fail` it is refused.";
    return { status: 202, disposition: "buffered", code: null, explanation: { rule: "B1", text } };
  }
  if (latest.status === "waiting" && !latest.overdue) {
    const terms = [
      ...(latest.filter === null ? [] : ["the filter of the wait is true of it"]),
      ...(latest.payload_schema === null ? [] : ["its payload fits the payload_schema of the wait"]),
      ...(latest.max_payload_bytes === null ? [] : [`its payload has ${latest.max_payload_bytes} bytes at most`]),
    ];
    const fits = terms.length === 0 ? "" : `, if ${terms.join(" and ")}`;
    const until = latest.expires_at === null ? "It has no deadline" : `Its deadline is ${latest.expires_at}`;
    const text = `The wait of generation ${latest.generation} is open, and an event ends it${fits}. ${until}.`;
    return { status: 200, disposition: "delivered", code: null, explanation: { rule: "R1", text } };
  }
  if (latest.status === "received") {
    const text = `The wait of generation ${latest.generation} has its answer: an equal payload is a duplicate, another one is refused. ${NEXT}`;
    return { status: 409, disposition: "conflict", code: "already_resolved", explanation: { rule: "S1", text } };
  }
  const isTimeout = latest.status === "timed_out" || latest.overdue;
  const how = isTimeout ? `passed its deadline ${latest.expires_at}` : `is ${latest.status}`;
  const text = `The wait of generation ${latest.generation} ${how}, so an event comes too late. ${NEXT}`;
  const rule = isTimeout ? "R2" : "B3";
  return { status: 409, disposition: "late", code: "wait_closed", explanation: { rule, text } };
}

const NEXT = "To keep one for the next wait on the key, send it with `for_next`.";

/** Says how a wait stands. */
export function explainWait(trigger: EventTrigger): Explanation {
  const by = trigger.sent_by === null ? "" : ` from ${trigger.sent_by}`;
  switch (trigger.status) {
    case "waiting":
      return {
        rule: "R1",
        text: `Generation ${trigger.generation} of this key waits since ${trigger.requested_at}; ${trigger.expires_at === null ? "only an event or a cancellation ends it" : `its deadline is ${trigger.expires_at}`}.`,
      };
    case "received":
      return {
        rule: "R1",
        text: `Generation ${trigger.generation} received its answer${by} at ${trigger.received_at}.`,
      };
    case "timed_out":
      return {
        rule: "R2",
        text: `Generation ${trigger.generation} had no answer by its deadline ${trigger.expires_at}.`,
      };
    case "superseded":
      return {
        rule: "U2",
        text: `Generation ${trigger.generation} gave way to a later wait on this key at ${trigger.finished_at}.`,
      };
    case "canceled":
      return {
        rule: trigger.cancellation?.kind === "rejected" ? "S5" : "R5",
        text: `Generation ${trigger.generation} ended without an answer at ${trigger.finished_at}: ${trigger.error ?? "canceled"}.`,
      };
  }
}

/** Says what there is of a key on which nobody ever waited. */
export function explainUnknown(kept: number, [nearest]: readonly NearKey[], environmentId: string): Explanation {
  const events =
    kept === 0 ? "and nothing is kept for it" : `${kept === 1 ? "an event is" : "events are"} kept for the first wait`;
  const hint =
    nearest === undefined
      ? "Keys are compared byte for byte, within one environment; `{type}:{entity}` keys are easy to tell apart."
      : nearest.environment_id === environmentId
        ? `Was ${JSON.stringify(nearest.event_key)} meant?`
        : `Somebody waited on it in the environment ${nearest.environment_id}; these credentials are for ${environmentId}.`;
  return { rule: "B1", text: `Nobody has ever waited on this key, ${events}. ${hint}` };
}
