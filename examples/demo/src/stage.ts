import { setTimeout as sleep } from "node:timers/promises";
import type { Project } from "@strait/example-support/project";
import type { BearerOperationsPromise } from "@strait/ts";
import type { Checklist } from "./checklist.ts";
import type { Screen } from "./screen.ts";

/** What a scene plays with. */
export interface Stage {
  readonly baseUrl: string;
  readonly project: Project;
  readonly screen: Screen;
  readonly checklist: Checklist;
  /** Aborted when the demo is to end early. */
  readonly signal: AbortSignal;
}

/** What an operation of the client resolves with. */
export type Answer<Id extends keyof BearerOperationsPromise> = Awaited<ReturnType<BearerOperationsPromise[Id]>>;

/** Passes on what has ended well. @throws {Error} With what went wrong otherwise. */
export function completed<State extends { readonly status: string; readonly error: string | null }>(
  state: State,
): State {
  if (state.status !== "completed") throw new Error(`it is ${state.status}: ${state.error ?? "no error is given"}`);
  return state;
}

/** Long enough to be seen, short enough not to be waited for. */
export const aMoment = (): Promise<void> => sleep(150);
