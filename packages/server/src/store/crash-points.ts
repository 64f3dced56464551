/**
 * Places at which a test can make this process die, as by a kill from outside: around the commit of any transaction,
 * between the end of a wait and what is told of it, and before an answer leaves.
 */
export const crashPoints = [
  "before-commit",
  "after-commit",
  "before-announce",
  "after-announce",
  "before-answer",
] as const;

export type CrashPoint = (typeof crashPoints)[number];

/** Which place ends the process, and how often it is passed before that. */
export interface Crash {
  readonly point: CrashPoint;
  readonly passes: number;
}

let armed: { readonly point: CrashPoint; left: number } | undefined;

/** Lets the process die at a place. Only `main.ts` calls it, and only where the configuration says that this is a test. */
export function armCrash({ point, passes }: Crash): void {
  armed = { point, left: passes };
}

/** Does nothing unless `armCrash` has named this place. */
export function crashPoint(point: CrashPoint): void {
  if (armed?.point === point && armed.left-- === 0) process.kill(process.pid, "SIGKILL");
}
