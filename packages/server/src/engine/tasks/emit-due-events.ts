import type { Context } from "../../service/context.ts";
import { emitEvents, giveUpEmission } from "../../service/emit-events.ts";
import { isConnectionLoss, isPassing } from "../../store/database.ts";
import { emitting, type StepKey } from "../../store/step-runs.ts";
import type { Task } from "../loop.ts";
import { Setbacks } from "../setbacks.ts";

const BATCH = 200;
const MAX_BYTES = 4 * 1024 * 1024;
const MAX_TRIES = 6;

/**
 * Sends the events of completed steps, right after the commit that completed them. A batch that fails is halved down to
 * the step that it fails for, which is tried again later, and told on the step when that does not help.
 */
export function emitDueEvents(context: Context, onError: (error: unknown) => void): Task {
  const setbacks = new Setbacks();

  async function emit(steps: readonly StepKey[]): Promise<number> {
    const [first] = steps;
    if (!first) return 0;
    try {
      const count = await emitEvents(context, steps);
      for (const { id } of steps) setbacks.forget(id);
      return count;
    } catch (error) {
      if (isConnectionLoss(error)) throw error;
      if (steps.length === 1) return setBack(first, error);
      const middle = Math.ceil(steps.length / 2);
      return (await emit(steps.slice(0, middle))) + (await emit(steps.slice(middle)));
    }
  }

  async function setBack(step: StepKey, error: unknown): Promise<0> {
    const passes = isPassing(error);
    const tries = setbacks.note(step.id, !passes);
    if (!passes) onError(error);
    if (tries >= MAX_TRIES) {
      await giveUpEmission(
        context,
        step,
        `it could not be sent, and was tried ${tries} times; the server's log says why`,
      );
      setbacks.forget(step.id);
    }
    return 0;
  }

  return {
    name: "emit-due-events",
    idleMs: 1_000,
    async tick() {
      const due = await emitting(context.db, BATCH, MAX_BYTES, setbacks.waiting());
      const again = due.filter((step) => setbacks.has(step.id));
      let handled = await emit(due.filter((step) => !setbacks.has(step.id)));
      for (const step of again) handled += await emit([step]);
      return { handled };
    },
  };
}
