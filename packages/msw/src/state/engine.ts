import { type OperationId, operations } from "@strait/contract";
import { jsonEquals } from "@strait/core";
import { idempotencyKeyOf, idempotencyMismatch } from "@strait/server/pure";
import { jsonResponse } from "../answers.ts";
import type { CheckedCall } from "../runtime.ts";
import { applyOutcome, dispatchRequest, type Executor } from "./dispatch.ts";
import { eventOperations } from "./operations/events.ts";
import { inboxOperations } from "./operations/inboxes.ts";
import { jobOperations } from "./operations/jobs.ts";
import type { Modeled, StateAnswer, StateCall } from "./operations/model.ts";
import { runOperations } from "./operations/runs.ts";
import { workflowOperations } from "./operations/workflows.ts";
import { createStore, type Store } from "./store.ts";
import { catchUp, nextDue, wakeOwners } from "./wake-owners.ts";

const modeled: Modeled = {
  ...inboxOperations,
  ...jobOperations,
  ...runOperations,
  ...eventOperations,
  ...workflowOperations,
};

export interface EngineOptions {
  readonly executor: Executor | undefined;
  readonly keepaliveMs: number;
}

/** The memory of a mock server, and what happens in it by itself. */
export interface Engine {
  readonly store: Store;
  /** Answers a call from the state; undefined for an operation that is not modeled. */
  answer(id: OperationId, call: CheckedCall): Promise<Response> | undefined;
  /** Lets time pass, and everything happen that is due by then. */
  advance(ms: number): void;
  close(): void;
}

/** A trigger looks for the run of its key, and a message for the one that it has brought. */
const LOOKS_FOR_ITS_KEY: ReadonlySet<OperationId> = new Set([
  "postV1JobsByJobIDTrigger",
  "postV1RunsByRunIDInboxByName",
]);

/** `setTimeout` takes no longer delays. */
const MAX_DELAY_MS = 2_147_483_647;

export function createEngine({ executor, keepaliveMs }: EngineOptions): Engine {
  const closing = new AbortController();
  const answers = new Map<string, { readonly body: unknown; readonly answer: Promise<StateAnswer<OperationId>> }>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  const store: Store = createStore((run, job, token) => {
    if (!executor) return;
    // After the answer to whoever caused it: an executor may call back at once.
    setTimeout(() => {
      if (closing.signal.aborted) return;
      const answered = Promise.resolve().then(() => executor(dispatchRequest(run, job, token)));
      void applyOutcome(store, run, answered).then(() => {
        wakeOwners(store);
        lookAgain();
      });
    });
  });

  /** Deadlines come by themselves, also where nobody calls. */
  function lookAgain(): void {
    clearTimeout(timer);
    const due = nextDue(store);
    if (due === undefined || closing.signal.aborted) return;
    const delay = Math.min(Math.max(0, due - store.clock.now()) + 1, MAX_DELAY_MS);
    timer = setTimeout(() => {
      catchUp(store);
      lookAgain();
    }, delay);
    // A deadline of days must not keep a program of Node.js alive.
    if (typeof timer === "object") timer.unref();
  }

  async function run(id: OperationId, call: StateCall<OperationId>): Promise<StateAnswer<OperationId>> {
    const operate = modeled[id] as
      | ((store: Store, call: StateCall<OperationId>) => StateAnswer<OperationId>)
      | undefined;
    if (!operate) throw new Error(`${id} is not modeled`);
    catchUp(store);
    try {
      const answer = operate(store, call);
      // At once, so that nobody sees a wait that has ended beside a run that still waits.
      wakeOwners(store);
      return await answer;
    } finally {
      wakeOwners(store);
      lookAgain();
    }
  }

  /** One effect and one answer for each idempotency key (S2). What is refused may do better later. */
  async function once(id: OperationId, call: StateCall<OperationId>): Promise<Response> {
    const { idempotencyKey, body, caller, pathParams } = call;
    if (idempotencyKey === null || LOOKS_FOR_ITS_KEY.has(id)) return responseOf(await run(id, call));
    const name = JSON.stringify([id, pathParams, caller.actor, idempotencyKey]);
    const known = answers.get(name);
    if (known) {
      if (!jsonEquals(known.body ?? null, body ?? null)) throw idempotencyMismatch(idempotencyKey);
      return responseOf(await known.answer, true);
    }
    const answer = run(id, call);
    answers.set(name, { body, answer });
    return responseOf(
      await answer.catch((error: unknown) => {
        answers.delete(name);
        throw error;
      }),
    );
  }

  return {
    store,
    answer(id, call) {
      if (!modeled[id]) return undefined;
      const { headers } = call.request;
      const key = operations[id].idempotent
        ? idempotencyKeyOf(headers.get("idempotency-key") ?? undefined, headers.get("x-idempotency-key") ?? undefined)
        : undefined;
      return once(id, { ...call, idempotencyKey: key ?? null, streams: { keepaliveMs, closing: closing.signal } });
    },
    advance(ms) {
      store.clock.skip(ms);
      catchUp(store);
      lookAgain();
    },
    close() {
      clearTimeout(timer);
      closing.abort();
    },
  };
}

function responseOf(answer: StateAnswer<OperationId>, isReplayed = false): Response {
  if (answer instanceof Response) return answer;
  const { status, body } = answer;
  return jsonResponse(status, body, isReplayed || answer.replayed ? { "idempotency-replayed": "true" } : {});
}
