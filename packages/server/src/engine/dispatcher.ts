import { isTerminalRunStatus } from "@strait/core";
import type { Context, Worker } from "../service/context.ts";
import type { RunOutcome, RunResult } from "../service/finish-run.ts";
import { resumeTaken } from "../service/finish-run.ts";
import type { Batched } from "../service/lane.ts";
import { type RunTokens, TOKEN_GRACE_SECS } from "../service/run-token.ts";
import type { Signer } from "../service/signing.ts";
import { untilAnswered } from "../store/database.ts";
import type { ClaimedRun } from "../store/runs.ts";
import * as runs from "../store/runs.ts";
import type { Queryable } from "../store/sql.ts";
import { asciiJson } from "../wire/ascii-json.ts";
import type { Circuits } from "./circuits.ts";
import { failureOf, isWorthFallback, outcomeOfAnswer, outcomeOfFailure } from "./dispatch-outcome.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";
import type { CallResult, Outbound } from "./outbound.ts";

export interface DispatcherOptions {
  /** Runs that this process executes at once. */
  readonly room: number;
  readonly lease: LeaseKeeper;
  readonly outbound: Outbound;
  readonly circuits: Circuits;
  readonly tokens: RunTokens;
  readonly signer: Signer;
  readonly onError: (error: unknown) => void;
  /** Called when there is room again after there was none. */
  readonly onRoom: () => void;
}

/** A call that is under way. */
interface Flight {
  readonly run: ClaimedRun;
  abort: () => void;
}

/**
 * Checkpoints up to this size travel in a header; larger ones are read through the API. Node.js refuses a request with
 * more than 16 KiB of headers, and others one with a line of more than 8.
 */
const MAX_CHECKPOINT_HEADER = 8 * 1024;
const MAX_PREVIOUS_ERROR = 1024;
const MAX_SNOOZES = 50;
const CIRCUIT_OPEN =
  "put off: the last calls to the job's endpoint have all failed; see next_retry_at for when it is called again";

/**
 * Sends executing runs to their endpoints and turns what comes back into moves. Holds nothing that a kill would lose: a
 * run in flight is a row with this process's lease.
 */
export class Dispatcher implements Worker {
  readonly #options: DispatcherOptions;
  readonly #flights = new Map<string, Flight>();
  readonly #perProject = new Map<string, number>();
  #reserved = 0;
  #accepting = true;
  #isDrained = false;
  #context: Context | undefined;
  #outcomes: Batched<RunOutcome, RunResult> | undefined;
  /** Whether something may stand in the queue. While it does, new runs queue up behind it. */
  backlog = true;

  constructor(options: DispatcherOptions) {
    this.#options = options;
  }

  /** Ties the dispatcher to the use cases that it serves and uses. */
  connect(context: Context, outcomes: Batched<RunOutcome, RunResult>): void {
    this.#context = context;
    this.#outcomes = outcomes;
  }

  /** How many runs may be claimed now. */
  get room(): number {
    if (!this.#accepting || this.#options.lease.claimable === null) return 0;
    return Math.max(0, this.#options.room - this.#flights.size - this.#reserved);
  }

  get inFlight(): number {
    return this.#flights.size;
  }

  /** Whether this process makes the call of that dispatch. */
  holds(run: { readonly project_id: string; readonly id: string; readonly dispatch_seq: number }): boolean {
    return this.#flights.has(flightOf(run));
  }

  reserve(projectId: string): number | null {
    if (this.backlog || this.room === 0) return null;
    const taken = this.#perProject.get(projectId) ?? 0;
    // One project takes at most half of the room without going through the queue, where it waits its turn (L3).
    if (taken >= this.#options.room / 2) return null;
    this.#count(projectId, 1);
    this.#reserved++;
    return this.#options.lease.claimable;
  }

  release(projectId: string, count: number): void {
    this.#reserved -= count;
    this.#count(projectId, -count);
  }

  start(claimed: readonly ClaimedRun[]): void {
    this.#reserved -= claimed.length;
    this.#options.lease.claimed(claimed.length);
    for (const run of claimed) this.#fly(run);
  }

  /** Sends runs that were claimed from the queue; their room was not reserved one by one. */
  startClaimed(claimed: readonly ClaimedRun[]): void {
    this.#options.lease.claimed(claimed.length);
    for (const run of claimed) {
      this.#count(run.project_id, 1);
      this.#fly(run);
    }
  }

  abort(projectId: string, runId: string): void {
    for (const flight of this.#flights.values()) {
      if (flight.run.project_id === projectId && flight.run.id === runId) flight.abort();
    }
  }

  /** Aborts calls whose run has ended, or was dispatched again, without this process. */
  async abortOrphans(db: Queryable): Promise<void> {
    const flights = [...this.#flights.values()];
    const fences = new Map(
      (
        await runs.fences(
          db,
          flights.map(({ run }) => run),
        )
      ).map((fence) => [fence.id, fence]),
    );
    for (const { run, abort } of flights) {
      const fence = fences.get(run.id);
      // A run that has parked itself is waiting until its executor has answered.
      const isOurs = fence?.dispatch_seq === run.dispatch_seq && !isTerminalRunStatus(fence.status);
      if (!isOurs) abort();
    }
  }

  /** Ends every call at once: this life is over, and somebody else may start the same runs. */
  abortAll(): void {
    for (const flight of this.#flights.values()) flight.abort();
  }

  /** Stops claiming and waits for the calls under way, at most `timeoutMs`; what is left then is put back. */
  async drain(timeoutMs: number): Promise<void> {
    this.#accepting = false;
    const deadline = Date.now() + timeoutMs;
    // A reservation is a run that a transaction under way may start.
    while (this.#flights.size + this.#reserved > 0 && Date.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#isDrained = true;
    const left = [...this.#flights.values()];
    for (const flight of left) flight.abort();
    await this.#putBack(left.map(({ run }) => run));
    await this.#outcomes?.idle();
  }

  /** Gives runs back that were claimed here and are not to be sent any more; one that goes on by itself is left alone. */
  async #putBack(claimed: readonly ClaimedRun[]): Promise<void> {
    const items = claimed.map((run) => ({
      ...keyOf(run),
      move: "putBack" as const,
      resume_reason: "lost",
      unless_detached: true,
    }));
    await Promise.all(items.map((item) => this.#outcomes?.add(item)));
  }

  #fly(run: ClaimedRun): void {
    if (this.#isDrained) {
      this.#count(run.project_id, -1);
      this.#putBack([run]).catch(this.#options.onError);
      return;
    }
    const flight: Flight = { run, abort: () => {} };
    this.#flights.set(flightOf(run), flight);
    this.#send(flight)
      .catch(this.#options.onError)
      .finally(() => this.#land(run));
  }

  #land(run: ClaimedRun): void {
    const wasFull = this.room === 0;
    this.#flights.delete(flightOf(run));
    this.#count(run.project_id, -1);
    if (wasFull || (this.backlog && this.#flights.size < this.#options.room / 2)) this.#options.onRoom();
  }

  #count(projectId: string, by: number): void {
    const count = (this.#perProject.get(projectId) ?? 0) + by;
    if (count === 0) this.#perProject.delete(projectId);
    else this.#perProject.set(projectId, count);
  }

  async #send(flight: Flight): Promise<void> {
    const { run } = flight;
    const { circuits } = this.#options;
    const waitMs = await circuits.admit(run.project_id, run.endpoint_url);
    if (waitMs > 0) return this.#snooze(run, waitMs);

    let result = await this.#call(flight, run.endpoint_url);
    this.#context?.metrics.called(result.kind === "answer" ? `${Math.floor(result.status / 100)}xx` : result.kind);
    if (result.kind === "aborted") return;
    circuits.report(run.project_id, run.endpoint_url, failureOf(result));
    if (run.fallback_endpoint_url !== null && isWorthFallback(result)) {
      const second = await this.#call(flight, run.fallback_endpoint_url);
      if (second.kind === "aborted") return;
      if (failureOf(second) === undefined) result = second;
    }
    await this.#finish(run, result);
  }

  #call(flight: Flight, url: string): Promise<CallResult> {
    const { run } = flight;
    return this.#options.outbound.post({
      url,
      headers: this.#headersOf(run),
      body: run.payload,
      timeoutMs: run.timeout_secs * 1000,
      onAbortable: (abort) => {
        flight.abort = abort;
      },
    });
  }

  async #finish(run: ClaimedRun, result: CallResult): Promise<void> {
    const context = this.#context;
    if (!context || !this.#outcomes) return;
    const failure = failureOf(result);
    const ended =
      failure === undefined && result.kind === "answer"
        ? outcomeOfAnswer(result)
        : outcomeOfFailure(run, failure ?? { error_class: "unknown", message: "the call ended without an answer" });
    const dispatch = [run.project_id, run.id, run.dispatch_seq] as const;
    // Parked on an event that was there already: nothing else would wake the run.
    if (ended === "parked" && (await untilAnswered(() => resumeTaken(context, ...dispatch)))) return;
    const isOnItsOwn = ended === "parked" || ended === "goes on";
    const what = isOnItsOwn
      ? await untilAnswered(() => runs.detach(context.db, ...dispatch, true))
      : await this.#outcomes.add({
          // Member by member, as on every path that each run takes.
          project_id: run.project_id,
          id: run.id,
          dispatch_seq: run.dispatch_seq,
          move: ended.move,
          result: ended.result ?? null,
          error: ended.error ?? null,
          error_class: ended.error_class ?? null,
          delay_ms: ended.delay_ms ?? null,
          unless_taken: ended.unless_taken ?? false,
          unless_detached: result.kind !== "answer",
          stands_alone: run.stands_alone,
        });
    if (what === "taken") await untilAnswered(() => resumeTaken(context, ...dispatch));
  }

  async #snooze(run: ClaimedRun, waitMs: number): Promise<void> {
    const tooOften = run.snooze_count >= MAX_SNOOZES;
    await this.#outcomes?.add(
      tooOften
        ? {
            ...keyOf(run),
            move: "giveUp",
            error: "the endpoint's circuit stayed open too long",
            error_class: "connection",
          }
        : { ...keyOf(run), move: "putBack", delay_ms: Math.max(waitMs, 1000), error: CIRCUIT_OPEN },
    );
  }

  #headersOf(run: ClaimedRun): Record<string, string> {
    const { tokens, signer } = this.#options;
    const nowMs = this.#context?.clock.nowMs() ?? Date.now();
    const token = tokens.sign(
      { runId: run.id, projectId: run.project_id, attempt: run.attempt, dispatchSeq: run.dispatch_seq },
      run.timeout_secs + TOKEN_GRACE_SECS,
    );
    const signed = signer.headersFor({
      projectId: run.project_id,
      signingVersion: run.signing_version,
      id: `${run.id}:${run.dispatch_seq}`,
      timestampSecs: Math.floor(nowMs / 1000),
      body: run.payload,
    });
    const headers: Record<string, string> = {
      "content-type": "application/json",
      "x-run-id": run.id,
      "x-job-id": run.job_id,
      "x-attempt": String(run.attempt),
      "x-dispatch": String(run.dispatch_seq),
      "x-run-token": token,
    };
    Object.assign(headers, signed);
    if (run.resume_reason !== null) headers["x-resume-reason"] = run.resume_reason;
    if (run.checkpoint !== null) {
      const checkpoint = asciiJson(run.checkpoint);
      if (checkpoint.length <= MAX_CHECKPOINT_HEADER) headers["x-last-checkpoint"] = checkpoint;
      if (run.checkpoint_at !== null) headers["x-checkpoint-at"] = run.checkpoint_at;
    }
    if (run.error !== null && run.attempt > 1) {
      headers["x-previous-error"] = encodeURIComponent(wellFormed(run.error.slice(0, MAX_PREVIOUS_ERROR)));
    }
    return headers;
  }
}

/** Cut in the middle of a surrogate pair, a text has half of one, which cannot be encoded. */
const wellFormed = (text: string): string => Buffer.from(text).toString();

const flightOf = (run: { readonly project_id: string; readonly id: string; readonly dispatch_seq: number }): string =>
  `${run.project_id}/${run.id}/${run.dispatch_seq}`;

const keyOf = ({ project_id, id, dispatch_seq, stands_alone }: ClaimedRun) => ({
  project_id,
  id,
  dispatch_seq,
  stands_alone,
});
