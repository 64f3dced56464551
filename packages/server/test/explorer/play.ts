import type { Dispatch, ExecutorAnswer } from "../server.ts";
import type { Fleet, FleetAnswer } from "./fleet.ts";
import { type Move, messageNames, type Opening, type Schedule } from "./schedules.ts";

/** What one move was answered. */
export interface Played {
  readonly move: Move;
  /** The key that it was for. */
  readonly eventKey: string;
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
  /** What the runs of a schedule were answered when they asked. */
  answersOf(prefix: string): readonly string[];
  /** When a first wait was asked for and its deadline, which without one is the same; milliseconds since 1970. */
  opened(prefix: string): Promise<Moments>;
  resumesOf(runId: string): readonly Dispatch[];
}

export function createCode(fleet: () => Fleet): Code {
  const resumes = new Map<string, Dispatch[]>();
  const openings = new Map<string, Opened>();
  const answers = new Map<string, string[]>();
  function openingOf(prefix: string): Opened {
    const known = openings.get(prefix);
    if (known) return known;
    let tell: Opened["tell"] = () => {};
    const told = new Promise<Moments>((resolve) => {
      tell = resolve;
    });
    const opened = { told, tell };
    openings.set(prefix, opened);
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
      const { prefix, opening, process } = dispatch.body as Asking;
      const deadline = opening.deadlineMs === null ? undefined : new Date(Date.now() + opening.deadlineMs);
      const { path, body } = question(prefix, opening, deadline);
      // A repeat after a lost answer must not ask a second time, should an event have been there already.
      const once = { "idempotency-key": `${runId} ${headers["x-dispatch"]}` };
      const asked = await fleet().request(process, "POST", `/sdk/v1/runs/${runId}/${path}`, {
        token,
        body,
        headers: once,
      });
      const outcome = asked.body.status ?? asked.body.error?.code;
      answers.set(prefix, [...(answers.get(prefix) ?? []), `${runId} dispatch ${headers["x-dispatch"]}: ${outcome}`]);
      const now = Date.now();
      openingOf(prefix).tell({ opening: now, deadline: deadline === undefined ? now : deadline.getTime() });
      // Somebody else holds the key, or the deadline had passed on the way: there is nothing to wait for.
      const isRefused = ["key_in_use", "validation_error"].includes(asked.body.error?.code);
      return isRefused ? { body: { reason: "refused" } } : { status: 202 };
    },
    opened: (prefix) => Promise.race([openingOf(prefix).told, sleep(OPENING_LIMIT_MS).then(atOnce)]),
    answersOf: (prefix) => answers.get(prefix) ?? [],
    resumesOf: (runId) => resumes.get(runId) ?? [],
  };
}

/** The payload of a run. */
interface Asking {
  readonly prefix: string;
  readonly opening: Opening;
  readonly process: number;
}

export const keyIn = (prefix: string, key: number): string => `${prefix}${key}`;

/** How a run asks, under `/sdk/v1/runs/{runID}`. */
function question(prefix: string, opening: Opening, deadline: Date | undefined): { path: string; body: object } {
  const until = deadline === undefined ? { timeout_secs: null } : { deadline: deadline.toISOString() };
  const { onTimeout: on_timeout, onCancel: on_cancel } = opening;
  if (opening.kind === "inbox") {
    const names = opening.names === null ? {} : { names: opening.names };
    return { path: "inbox/receive", body: { ...names, max: opening.max, on_timeout, ...until } };
  }
  if (opening.kind === "group") {
    const waits = opening.keys.map((key) => ({ event_key: keyIn(prefix, key) }));
    const count = opening.mode === "at_least" ? { count: opening.count } : {};
    return { path: "wait-for-events", body: { mode: opening.mode, ...count, waits, on_timeout, on_cancel, ...until } };
  }
  const conflict = opening.onConflict === null ? { broadcast: true } : { on_conflict: opening.onConflict };
  const event_key = keyIn(prefix, opening.key);
  return { path: "wait-for-event", body: { event_key, ...conflict, on_timeout, on_cancel, ...until } };
}

/** Plays a schedule on keys under a prefix of its own, and resolves when every request has been answered. */
export async function play(
  { fleet, code }: { readonly fleet: Fleet; readonly code: Code },
  prefix: string,
  { keys, openings, moves }: Schedule,
  index: number,
): Promise<{ runIds: string[]; played: Played[] }> {
  const runIds: string[] = [];
  const triggered = openings.map(open);

  async function open(asked: Opening, n: number): Promise<void> {
    await sleep(asked.afterMs);
    const opening = asked.kind === "key" ? { ...asked, key: asked.key % keys } : asked;
    const payload: Asking = { prefix, opening, process: index + n };
    const headers = { "idempotency-key": `${prefix} run ${n}` };
    const answer = await fleet.request(index + n, "POST", "/v1/jobs/ask/trigger", { body: { payload }, headers });
    if (answer.status > 201) throw new Error(`a run was refused: ${JSON.stringify(answer.body)}`);
    runIds[n] = answer.body.id;
  }

  async function act(move: Move, n: number): Promise<Played | undefined> {
    const base = move.from === "start" ? Date.now() : (await code.opened(prefix))[move.from];
    await sleep(base + move.afterMs - Date.now());
    const payload = `${prefix} ${n}`;
    const eventKey = keyIn(prefix, move.target % Math.max(1, keys));
    const run = move.target % openings.length;
    if (move.act === "message") await triggered[run];
    const runId = runIds[run];
    if ((move.act === "cancelRun" || move.act === "message") && runId === undefined) return undefined;
    const headers = move.isKeyed ? { "idempotency-key": payload } : {};
    const post = (path: string, body: object) => fleet.request(move.process, "POST", path, { body, headers });
    const path = `/v1/events/${encodeURIComponent(eventKey)}`;
    const acts = {
      send: () => post(`${path}/send`, { payload }),
      sendPrefix: () =>
        post(`/v1/events/prefix/${encodeURIComponent(prefix)}/send`, { payload, mode: move.mode, allow_short: true }),
      reject: () => post(`${path}/reject`, { reason: payload }),
      extend: () => post(`${path}/extend`, { deadline: new Date(Date.now() + move.deadlineMs).toISOString() }),
      cancel: () => fleet.request(move.process, "DELETE", `${path}?reason=${encodeURIComponent(payload)}`),
      cancelRun: () => fleet.request(move.process, "DELETE", `/v1/runs/${runId}`),
      message: () => post(`/v1/runs/${runId}/inbox/${messageNames[n % messageNames.length]}`, { payload }),
    };
    return { move, eventKey, payload, answer: await acts[move.act]() };
  }

  const [played] = await Promise.all([Promise.all(moves.map(act)), Promise.all(triggered)]);
  return { runIds, played: played.filter((one) => one !== undefined) };
}
