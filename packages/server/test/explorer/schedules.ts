import fc from "fast-check";
import { type Crash, crashPoints } from "../../src/store/crash-points.ts";

/** How a run asks, when its first dispatch comes. */
export interface Opening {
  /** Milliseconds from the start of the schedule until the run is triggered. */
  readonly afterMs: number;
  /** Milliseconds from the opening until the deadline; null for none. */
  readonly deadlineMs: number | null;
  /** What it does when somebody waits on the key already. */
  readonly onConflict: "fail" | "replace" | "join";
  readonly onTimeout: "fail" | "resume";
  readonly onCancel: "fail" | "resume";
}

/** What competes for the end of a wait. */
export type Act = "send" | "cancel" | "reject" | "extend" | "cancelRun";

export interface Move {
  readonly act: Act;
  /** Counted from the start of the schedule, from the opening of the first wait, or from the deadline that it was opened with. */
  readonly from: "start" | "opening" | "deadline";
  /** Negative before a deadline. */
  readonly afterMs: number;
  /** Whether it carries an Idempotency-Key. */
  readonly isKeyed: boolean;
  /** Which process is asked first. */
  readonly process: number;
  /** Of an extension: milliseconds from then until the new deadline. */
  readonly deadlineMs: number;
}

/** What happens to one key: runs that wait on it, and what is sent, canceled and extended meanwhile. */
export interface Schedule {
  /** Up to three runs that want the same key. */
  readonly openings: readonly Opening[];
  readonly moves: readonly Move[];
}

const policy = fc.constantFrom("fail" as const, "resume" as const);
const moment = fc.oneof(
  { weight: 1, arbitrary: fc.record({ from: fc.constant("start" as const), afterMs: fc.nat({ max: 120 }) }) },
  { weight: 3, arbitrary: fc.record({ from: fc.constant("opening" as const), afterMs: fc.nat({ max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ from: fc.constant("deadline" as const), afterMs: fc.integer({ min: -15, max: 5 }) }),
  },
);

const opening: fc.Arbitrary<Opening> = fc.record({
  afterMs: fc.nat({ max: 60 }),
  deadlineMs: fc.option(fc.integer({ min: 60, max: 260 }), { freq: 3 }),
  onConflict: fc.constantFrom("fail" as const, "replace" as const, "join" as const),
  onTimeout: policy,
  onCancel: policy,
});

const act: fc.Arbitrary<Omit<Move, "from" | "afterMs">> = fc.record({
  act: fc.oneof(
    { weight: 5, arbitrary: fc.constant<Act>("send") },
    { weight: 2, arbitrary: fc.constant<Act>("cancel") },
    { weight: 1, arbitrary: fc.constant<Act>("reject") },
    { weight: 2, arbitrary: fc.constant<Act>("extend") },
    { weight: 1, arbitrary: fc.constant<Act>("cancelRun") },
  ),
  isKeyed: fc.boolean(),
  process: fc.nat({ max: 2 }),
  deadlineMs: fc.integer({ min: 30, max: 300 }),
});

const move: fc.Arbitrary<Move> = fc.tuple(act, moment).map(([what, when]) => ({ ...what, ...when }));

/** Half of the schedules have all their moves at one moment: that is where races are. */
const moves: fc.Arbitrary<readonly Move[]> = fc
  .tuple(fc.array(move, { minLength: 1, maxLength: 5, size: "max" }), fc.option(moment))
  .map(([all, together]) => (together === null ? all : all.map((one) => ({ ...one, ...together }))));

const schedule: fc.Arbitrary<Schedule> = fc.record({
  openings: fc.array(opening, { minLength: 1, maxLength: 3, size: "max" }),
  moves,
});

/** The same seed gives the same schedules and the same crashes. */
export function schedulesOf(seed: number, count: number): readonly Schedule[] {
  return fc.sample(schedule, { seed, numRuns: count });
}

/** Each crash point in turn. */
export function crashesOf(seed: number, count: number): readonly Crash[] {
  const passes = count === 0 ? [] : fc.sample(fc.integer({ min: 5, max: 120 }), { seed, numRuns: count });
  return passes.flatMap((number, index) => {
    const point = crashPoints[(seed + index) % crashPoints.length];
    return point === undefined ? [] : [{ point, passes: number }];
  });
}
