import type { Dispatch, ExecutorAnswer } from "../server.ts";
import type { Fleet, FleetAnswer } from "./fleet.ts";
import type { Move, Opening, Schedule } from "./schedules.ts";

/** What one move was answered. */
export interface Played {
  readonly move: Move;
  /** What it sent, if it sent something. */
  readonly payload: string;
  readonly answer: FleetAnswer;
}

const REASONS: readonly unknown[] = ["event", "timeout", "canceled", "rejected"];
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A run that is canceled early never asks. */
const OPENING_LIMIT_MS = 3_000;
const atOnce = (): Moments => ({ opening: Date.now(), deadline: Date.now() });

interface Moments {
  readonly opening: number;
  readonly deadline: number;
}

interface Opened {
  readonly told: Promise<Moments>;
  readonly tell: (moments: Moments) => void;
}

/** The code of every run that the explorer makes: it asks once, and ends with what it is told. */
export interface Code {
  handle(dispatch: Dispatch): Promise<ExecutorAnswer>;
  /** What the runs of a key were answered when they asked. */
  answersOf(eventKey: string): readonly string[];
  /** When a first wait on the key was asked for and its deadline, which without one is the same; milliseconds since 1970. */
  opened(eventKey: string): Promise<Moments>;
  resumesOf(runId: string): readonly Dispatch[];
}

export function createCode(fleet: () => Fleet): Code {
  const resumes = new Map<string, Dispatch[]>();
  const openings = new Map<string, Opened>();
  const answers = new Map<string, string[]>();
  function openingOf(eventKey: string): Opened {
    const known = openings.get(eventKey);
    if (known) return known;
    let tell: Opened["tell"] = () => {};
    const told = new Promise<Moments>((resolve) => {
      tell = resolve;
    });
    const opened = { told, tell };
    openings.set(eventKey, opened);
    return opened;
  }
  return {
    async handle(dispatch) {
      const { runId, runToken: token, headers } = dispatch;
      const reason = headers["x-resume-reason"];
      if (REASONS.includes(reason)) {
        resumes.set(runId, [...(resumes.get(runId) ?? []), dispatch]);
        const checkpoint = headers["x-last-checkpoint"];
        return { body: { reason, told: checkpoint === undefined ? null : JSON.parse(String(checkpoint)) } };
      }
      const { eventKey, opening, process } = dispatch.body as Asking;
      const { deadlineMs, onTimeout: on_timeout, onCancel: on_cancel } = opening;
      const deadline = deadlineMs === null ? undefined : new Date(Date.now() + deadlineMs).toISOString();
      const body = {
        event_key: eventKey,
        on_conflict: opening.onConflict,
        on_timeout,
        on_cancel,
        ...(deadline === undefined ? { timeout_secs: null } : { deadline }),
      };
      // A repeat after a lost answer must not ask a second time, should an event have been there already.
      const once = { "idempotency-key": `${runId} ${headers["x-dispatch"]}` };
      const path = `/sdk/v1/runs/${runId}/wait-for-event`;
      const asked = await fleet().request(process, "POST", path, { token, body, headers: once });
      const outcome = asked.body.status ?? asked.body.error?.code;
      answers.set(eventKey, [
        ...(answers.get(eventKey) ?? []),
        `${runId} dispatch ${headers["x-dispatch"]}: ${outcome}`,
      ]);
      const now = Date.now();
      openingOf(eventKey).tell({ opening: now, deadline: deadline === undefined ? now : Date.parse(deadline) });
      // Somebody else holds the key, or the deadline had passed on the way: there is nothing to wait for.
      const isRefused = ["key_in_use", "validation_error"].includes(asked.body.error?.code);
      return isRefused ? { body: { reason: "refused" } } : { status: 202 };
    },
    opened: (eventKey) => Promise.race([openingOf(eventKey).told, sleep(OPENING_LIMIT_MS).then(atOnce)]),
    answersOf: (eventKey) => answers.get(eventKey) ?? [],
    resumesOf: (runId) => resumes.get(runId) ?? [],
  };
}

/** The payload of a run. */
interface Asking {
  readonly eventKey: string;
  readonly opening: Opening;
  readonly process: number;
}

/** Plays a schedule on a key of its own, and resolves when every request has been answered. */
export async function play(
  { fleet, code }: { readonly fleet: Fleet; readonly code: Code },
  eventKey: string,
  { openings, moves }: Schedule,
  index: number,
): Promise<{ runIds: string[]; played: Played[] }> {
  const runIds: string[] = [];
  const path = `/v1/events/${encodeURIComponent(eventKey)}`;

  async function open(opening: Opening, n: number): Promise<void> {
    await sleep(opening.afterMs);
    const payload: Asking = { eventKey, opening, process: index + n };
    const headers = { "idempotency-key": `${eventKey} run ${n}` };
    const triggered = await fleet.request(index + n, "POST", "/v1/jobs/ask/trigger", { body: { payload }, headers });
    if (triggered.status > 201) throw new Error(`a run was refused: ${JSON.stringify(triggered.body)}`);
    runIds[n] = triggered.body.id;
  }

  async function act(move: Move, n: number): Promise<Played | undefined> {
    const base = move.from === "start" ? Date.now() : (await code.opened(eventKey))[move.from];
    await sleep(base + move.afterMs - Date.now());
    const payload = `${eventKey} ${n}`;
    const headers = move.isKeyed ? { "idempotency-key": payload } : {};
    const post = (to: string, body: object) => fleet.request(move.process, "POST", `${path}/${to}`, { body, headers });
    const acts = {
      send: () => post("send", { payload }),
      reject: () => post("reject", { reason: payload }),
      extend: () => post("extend", { deadline: new Date(Date.now() + move.deadlineMs).toISOString() }),
      cancel: () => fleet.request(move.process, "DELETE", `${path}?reason=${encodeURIComponent(payload)}`),
      cancelRun: () => fleet.request(move.process, "DELETE", `/v1/runs/${runIds[0]}`),
    };
    if (move.act === "cancelRun" && runIds[0] === undefined) return undefined;
    return { move, payload, answer: await acts[move.act]() };
  }

  const [played] = await Promise.all([Promise.all(moves.map(act)), Promise.all(openings.map(open))]);
  return { runIds, played: played.filter((one) => one !== undefined) };
}
