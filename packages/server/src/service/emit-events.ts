import { templatePaths } from "@strait/core";
import { DEFAULT_TTL_SECS } from "../domain/defaults.ts";
import { StraitError } from "../domain/errors.ts";
import { stepKey } from "../domain/step-key.ts";
import type { Transaction } from "../store/database.ts";
import * as stepRuns from "../store/step-runs.ts";
import { type Context, SYSTEM } from "./context.ts";
import { LOCK_TIMEOUT_MS, type Outcome } from "./lane.ts";
import { sendWithin } from "./send-event.ts";
import { prepared, type SendAnswer, type Sending } from "./sending.ts";
import { announceSettled } from "./settle-waits.ts";

/**
 * Sends the events of completed steps, in order of completion: the same decisions as for a send over HTTP, buffering included, in
 * one transaction with the marks that say they were due (B5). What cannot be sent is told on its step, which stays
 * completed. The rows of completed steps are locked by nobody else, so keys and waits may be locked after them (K1).
 *
 * @returns How many steps were handled.
 */
export async function emitEvents(context: Context, due: readonly stepRuns.StepKey[]): Promise<number> {
  const { count, settled } = await context.db.transaction(
    async (tx) => {
      const steps = await stepRuns.lockEmitting(tx, due);
      if (steps.length === 0) return { count: 0, settled: [] };
      const outputs = await outputsFor(tx, steps);
      const emissions = steps.map((step) => emissionOf(context, step, outputs.get(step.workflow_run_id) ?? {}));
      const sent = await sendWithin(
        context,
        tx,
        emissions.flatMap((emission) => emission.send ?? []),
      );
      const marks = emissions.map(({ step, send, error }) => ({
        project_id: step.project_id,
        id: step.id,
        emit_error: send ? refusalOf(sent.outcomes.get(send)) : error,
      }));
      await stepRuns.markEmitted(tx, SYSTEM, marks);
      return { count: steps.length, settled: sent.settled };
    },
    { lockTimeoutMs: LOCK_TIMEOUT_MS },
  );
  announceSettled(context, settled);
  return count;
}

/** Takes the mark off a step whose event cannot be sent, and tells why on the step. */
export async function giveUpEmission({ db }: Context, step: stepRuns.StepKey, error: string): Promise<void> {
  await stepRuns.markEmitted(db, SYSTEM, [{ ...step, emit_error: error }]);
}

type Emission = { readonly step: stepRuns.EmittingStep } & (
  | { readonly send: Sending; readonly error?: never }
  | { readonly error: string; readonly send?: never }
);

function emissionOf(context: Context, step: stepRuns.EmittingStep, outputs: Record<string, unknown>): Emission {
  const { project_id, environment_id, workflow_id, workflow_run_id, step_ref } = step;
  const scope = { payload: step.payload, parent_outputs: outputs, workflow_run_id, workflow_id, project_id, step_ref };
  const key = stepKey("event_emit_key", step.event_emit_key, scope);
  if (!key.ok) return { step, error: key.message };
  const send = prepared(context, {
    project_id,
    environment_id,
    event_key: key.value,
    payload: JSON.parse(step.output),
    if_no_waiter: "buffer",
    ttl_secs: DEFAULT_TTL_SECS,
    for_next: false,
    generation: null,
    trigger_id: null,
    actor: `workflow_run:${workflow_run_id}`,
    channel: "emit",
    idempotency: null,
  });
  return { step, send: { ...send, payload_text: step.output } };
}

/** The outputs of the workflow runs whose templates name some, by workflow run and step. */
async function outputsFor(
  tx: Transaction,
  steps: readonly stepRuns.EmittingStep[],
): Promise<ReadonlyMap<string, Record<string, unknown>>> {
  const asking = steps.filter(({ event_emit_key }) =>
    templatePaths(event_emit_key).paths.some(({ path: [name] }) => name === "parent_outputs"),
  );
  const found = new Map<string, [string, unknown][]>(asking.map((step) => [step.workflow_run_id, []]));
  if (asking.length > 0) {
    for (const { workflow_run_id, step_ref, output } of await stepRuns.outputsOf(tx, asking)) {
      found.get(workflow_run_id)?.push([step_ref, output]);
    }
  }
  return new Map([...found].map(([id, entries]) => [id, Object.fromEntries(entries)]));
}

/** Why nobody got the event; null when somebody did, or will. */
function refusalOf(outcome: Outcome<SendAnswer> | undefined): string | null {
  if (outcome?.ok) return null;
  if (outcome?.error instanceof StraitError) return outcome.error.message;
  throw outcome?.error ?? new Error("an event was not decided");
}
