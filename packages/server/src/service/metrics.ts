import type { RunStatus } from "@strait/contract";
import { isTerminalRunStatus } from "@strait/core";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { StraitError } from "../domain/errors.ts";
import type { SettledTrigger } from "../store/settlements.ts";
import type { Outcome } from "./lane.ts";

/**
 * What this process has done since it started, for Prometheus. No label tells of a project: there may be very many. Each
 * is a number in memory; what is read of the database is read when somebody asks.
 */
export interface Metrics {
  /** What became of a send; one that was answered from a stored answer does not count again. */
  sent(outcome: Outcome<{ readonly body: { readonly disposition: string }; readonly replayed?: true }>): void;
  opened(wait: { readonly source_type: string; readonly expires_at: string | null }): void;
  settled(triggers: readonly SettledTrigger[]): void;
  /** From the arrival of an event to the start of the dispatch that it resumed, in this process. */
  resumed(ms: number): void;
  runsMoved(runs: readonly { readonly status: RunStatus }[]): void;
  /** How a call to an executor ended. */
  called(result: string): void;
  /** What became of an attempt to deliver a webhook. */
  delivered(result: string): void;
  answered(operation: string, status: number, ms: number): void;
  /** In the text format of Prometheus. */
  read(): Promise<string>;
}

export interface Gauges {
  /** Calls to executors that are under way. */
  readonly inFlight: () => number;
  /** Runs that are ready to be dispatched, counted up to a bound. */
  readonly queueDepth: () => Promise<number>;
}

const FAST_SECS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const LONG_SECS = [1, 10, 60, 300, 1_800, 3_600, 21_600, 86_400, 259_200, 604_800, 2_592_000];

/** What a refused send is counted as; other errors left nothing on record. */
const REFUSED: Readonly<Record<string, string>> = {
  already_resolved: "conflict",
  wait_closed: "late",
  payload_mismatch: "rejected",
};

export function createMetrics(gauges: () => Gauges): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  /** Counts by the value of one label. A counter looks its labels up at every step, so it is told when it is read. */
  const tally = (name: string, help: string, label: string) => {
    const counts = new Map<string, number>();
    new Counter({
      name,
      help,
      labelNames: [label],
      registers,
      collect() {
        this.reset();
        for (const [value, count] of counts) this.inc({ [label]: value }, count);
      },
    });
    return (value: string) => void counts.set(value, (counts.get(value) ?? 0) + 1);
  };
  const histogram = <Label extends string>(name: string, help: string, buckets: number[], labelNames: Label[] = []) =>
    new Histogram({ name, help, buckets, labelNames, registers });

  const sent = tally("strait_events_sent_total", "Events sent, by what became of them.", "disposition");
  const opened = counter("strait_event_triggers_opened_total", "Waits opened; deadline=none may wait for ever.", [
    "source_type",
    "deadline",
  ]);
  const settled = tally("strait_event_triggers_settled_total", "Waits ended, by how.", "status");
  const waits = histogram("strait_event_trigger_wait_seconds", "From a wait to its event.", LONG_SECS);
  const resumes = histogram(
    "strait_send_to_resume_seconds",
    "From the arrival of an event to the start of the dispatch that it resumed, in one process.",
    FAST_SECS,
  );
  const runs = tally("strait_runs_finished_total", "Runs ended, by status.", "status");
  const dispatches = tally("strait_dispatches_total", "Calls to executors, by how they ended.", "result");
  const deliveries = tally("strait_webhook_attempts_total", "Attempts to deliver webhooks, by result.", "result");
  const requests = histogram(
    "strait_http_request_duration_seconds",
    "Requests answered; of streams, their start.",
    FAST_SECS,
    ["operation", "status"],
  );
  new Gauge({
    name: "strait_dispatches_in_flight",
    help: "Calls to executors that are under way in this process.",
    registers,
    collect() {
      this.set(gauges().inFlight());
    },
  });
  new Gauge({
    name: "strait_queue_depth",
    help: "Runs of all projects that are ready to be dispatched, counted up to 100,000.",
    registers,
    async collect() {
      this.set(await gauges().queueDepth());
    },
  });

  /** Looking a histogram up by its labels costs several times what observing does. */
  const answers = new Map<string, { observe(secs: number): void }>();

  return {
    sent(outcome) {
      if (!outcome.ok) {
        const code = outcome.error instanceof StraitError ? outcome.error.code : "";
        return sent(REFUSED[code] ?? "refused");
      }
      if (outcome.value.replayed === undefined) sent(outcome.value.body.disposition);
    },
    opened: ({ source_type, expires_at }) =>
      opened.inc({ source_type, deadline: expires_at === null ? "none" : "some" }),
    settled(triggers) {
      for (const { status, requested_at, received_at } of triggers) {
        settled(status);
        if (received_at !== null) waits.observe((Date.parse(received_at) - Date.parse(requested_at)) / 1_000);
      }
    },
    resumed: (ms) => resumes.observe(ms / 1_000),
    runsMoved(moved) {
      for (const { status } of moved) if (isTerminalRunStatus(status)) runs(status);
    },
    called: dispatches,
    delivered: deliveries,
    answered(operation, status, ms) {
      const name = `${operation} ${status}`;
      const child = answers.get(name) ?? requests.labels({ operation, status });
      answers.set(name, child);
      child.observe(ms / 1_000);
    },
    read: () => registry.metrics(),
  };
}
