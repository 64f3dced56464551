import type {
  Checkpoint,
  DeadLetter,
  EventRecord,
  EventTrigger,
  InboxEntry,
  Job,
  Run,
  Workflow,
  WorkflowRunWithSteps,
  WorkflowStep,
} from "@strait/contract";
import type { TriggerInput } from "@strait/server/pure";
import { type Clock, createClock } from "./clock.ts";
import { Table } from "./table.ts";

/** Who acts where nobody called. */
export const SYSTEM = "system";

/** What is known of an event key on which somebody has waited. */
export interface KeyRow {
  readonly generation: number;
  readonly latest: string;
}

/** An event as it is kept: whose digest is taken when it is shown, and whose actor is a text. */
export type StoredEvent = Omit<EventRecord, "actor" | "payload_digest"> & { readonly actor: string };

/** A message as it is kept, with the request that has brought it. */
export interface StoredMessage extends InboxEntry {
  readonly key: string | null;
  readonly body: unknown;
}

/** What has ended, and has an owner who is to be told. */
export type Ended = { readonly trigger: EventTrigger } | { readonly run: Run };

/** Gives a run to its code; called after each dispatch, with the token of this dispatch. */
export type Dispatch = (run: Run, job: Job, token: string) => void;

/** All that a mock server knows, in memory, for one project. */
export interface Store {
  readonly clock: Clock;
  readonly project: { readonly project_id: string; readonly environment_id: string };
  readonly jobs: Table<Job>;
  readonly runs: Table<Run>;
  readonly triggers: Table<EventTrigger>;
  readonly events: Table<StoredEvent>;
  readonly deadLetters: Table<DeadLetter>;
  readonly messages: Table<StoredMessage>;
  readonly workflows: Table<Workflow>;
  /** With their steps, as their streams show them. */
  readonly workflowRuns: Table<WorkflowRunWithSteps>;
  /** The steps that each workflow run started with. */
  readonly definitions: Map<string, readonly WorkflowStep[]>;
  /** The latest one of each run. */
  readonly checkpoints: Map<string, Checkpoint>;
  readonly keys: Map<string, KeyRow>;
  /** The ids of the triggers of each key, those that opened first before the others. */
  readonly waits: Map<string, string[]>;
  /** The runs that were given an event that was there, since they were dispatched. */
  readonly taken: Set<string>;
  /** The runs that were triggered with an idempotency key, by job and key. */
  readonly triggered: Map<string, { readonly runId: string; readonly input: TriggerInput }>;
  /** What `wakeOwners` has to tell. */
  readonly ended: Ended[];
  readonly dispatch: Dispatch;
}

export function createStore(dispatch: Dispatch): Store {
  const clock = createClock();
  return {
    clock,
    project: { project_id: "proj_01k0000000e0080000000000ex", environment_id: "env_01k0000000e0080000000000ex" },
    jobs: new Table(),
    runs: new Table(),
    triggers: new Table(),
    events: new Table(),
    deadLetters: new Table(),
    messages: new Table(),
    workflows: new Table(),
    workflowRuns: new Table(),
    definitions: new Map(),
    checkpoints: new Map(),
    keys: new Map(),
    waits: new Map(),
    taken: new Set(),
    triggered: new Map(),
    ended: [],
    dispatch,
  };
}
