import fc from "fast-check";
import { type Crash, crashPoints } from "../../src/store/crash-points.ts";

/** What all waits have. */
interface Asked {
  /** Milliseconds from the start of the schedule until the run is triggered. */
  readonly afterMs: number;
  /** Milliseconds from the opening until the deadline; null for none. */
  readonly deadlineMs: number | null;
  readonly onTimeout: "fail" | "resume";
  readonly onCancel: "fail" | "resume";
}

/** A wait on one key. */
export interface KeyOpening extends Asked {
  readonly kind: "key";
  readonly key: number;
  /** What it does when somebody waits on the key already; null for a broadcast, which waits beside others. */
  readonly onConflict: "fail" | "replace" | "join" | null;
}

/** A wait on several keys, of which some must be answered. */
export interface GroupOpening extends Asked {
  readonly kind: "group";
  readonly keys: readonly number[];
  readonly mode: "any" | "all" | "at_least";
  readonly count: number;
}

/** A wait on the run's own inbox. */
export interface InboxOpening extends Asked {
  readonly kind: "inbox";
  /** The kinds of messages that it takes; null for any. */
  readonly names: readonly string[] | null;
  readonly max: number;
}

/** How a run asks, when its first dispatch comes. */
export type Opening = KeyOpening | GroupOpening | InboxOpening;

/** What competes for the end of a wait. */
export type Act = "send" | "sendPrefix" | "cancel" | "reject" | "extend" | "cancelRun" | "message";

export interface Move {
  readonly act: Act;
  /** Which key of the schedule, or which run; there may be fewer. */
  readonly target: number;
  /** Counted from the start of the schedule, from the opening of the first wait, or from the deadline that it was opened with. */
  readonly from: "start" | "opening" | "deadline";
  /** Negative before a deadline. */
  readonly afterMs: number;
  /** Whether it carries an Idempotency-Key. */
  readonly isKeyed: boolean;
  /** Which process is asked first. */
  readonly process: number;
  /** Of an extension: milliseconds from then until the new deadline, which may be earlier than the old one. */
  readonly deadlineMs: number;
  /** Of a send to a prefix. */
  readonly mode: "each" | "atomic";
}

/** What happens to a few keys: runs that wait on them, and what is sent, canceled and extended meanwhile. */
export interface Schedule {
  readonly keys: number;
  /** Up to three runs. */
  readonly openings: readonly Opening[];
  readonly moves: readonly Move[];
}

/** The kinds of messages that are sent. */
export const messageNames = ["chat", "stop"] as const;

const policy = fc.constantFrom("fail" as const, "resume" as const);
const asked = {
  afterMs: fc.nat({ max: 60 }),
  deadlineMs: fc.option(fc.integer({ min: 60, max: 260 }), { freq: 2 }),
  onTimeout: policy,
  onCancel: policy,
};
const key = fc.nat({ max: 2 });

const exclusive: fc.Arbitrary<KeyOpening> = fc.record({
  ...asked,
  kind: fc.constant("key"),
  key,
  onConflict: fc.constantFrom("fail", "replace", "join"),
});
const broadcast: fc.Arbitrary<KeyOpening> = fc.record({
  ...asked,
  kind: fc.constant("key"),
  key,
  onConflict: fc.constant(null),
});
const group: fc.Arbitrary<GroupOpening> = fc.record({
  ...asked,
  kind: fc.constant("group"),
  keys: fc.uniqueArray(key, { minLength: 2, maxLength: 3 }),
  mode: fc.constantFrom("any", "all", "at_least"),
  count: fc.integer({ min: 1, max: 2 }),
});
const inbox: fc.Arbitrary<InboxOpening> = fc.record({
  ...asked,
  kind: fc.constant("inbox"),
  names: fc.constantFrom(null, null, ["chat"]),
  max: fc.integer({ min: 1, max: 3 }),
});

const moment = fc.oneof(
  { weight: 1, arbitrary: fc.record({ from: fc.constant("start" as const), afterMs: fc.nat({ max: 120 }) }) },
  { weight: 3, arbitrary: fc.record({ from: fc.constant("opening" as const), afterMs: fc.nat({ max: 60 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({ from: fc.constant("deadline" as const), afterMs: fc.integer({ min: -15, max: 5 }) }),
  },
);

function movesOf(acts: Readonly<Partial<Record<Act, number>>>, most: number): fc.Arbitrary<readonly Move[]> {
  const weighted = Object.entries(acts).map(([act, weight]) => ({ weight, arbitrary: fc.constant(act as Act) }));
  const what: fc.Arbitrary<Omit<Move, "from" | "afterMs">> = fc.record({
    act: fc.oneof(...weighted),
    target: key,
    isKeyed: fc.boolean(),
    process: fc.nat({ max: 2 }),
    deadlineMs: fc.integer({ min: 30, max: 300 }),
    mode: fc.constantFrom("each", "atomic"),
  });
  const move: fc.Arbitrary<Move> = fc.tuple(what, moment).map(([one, when]) => ({ ...one, ...when }));
  // Most schedules have all their moves at one moment: that is where races are.
  return fc
    .tuple(fc.array(move, { minLength: 1, maxLength: most, size: "max" }), fc.option(moment))
    .map(([all, together]) => (together === null ? all : all.map((one) => ({ ...one, ...together }))));
}

const some = <Item>(item: fc.Arbitrary<Item>, maxLength = 3): fc.Arbitrary<readonly Item[]> =>
  fc.array(item, { minLength: 1, maxLength, size: "max" });

const onOneKey = { send: 5, cancel: 2, reject: 1, extend: 2, cancelRun: 1, sendPrefix: 1 };
const schedule: fc.Arbitrary<Schedule> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ keys: fc.constant(1), openings: some(exclusive), moves: movesOf(onOneKey, 5) }),
  },
  {
    weight: 2,
    // Now and then one that does not broadcast is among those that do.
    arbitrary: fc.record({
      keys: fc.constant(1),
      openings: some(fc.oneof({ weight: 5, arbitrary: broadcast }, { weight: 1, arbitrary: exclusive })),
      moves: movesOf(onOneKey, 5),
    }),
  },
  {
    weight: 3,
    // Groups meet groups, and those that would replace or join one of their waits.
    arbitrary: fc.record({
      keys: fc.constant(3),
      openings: fc
        .tuple(group, fc.array(fc.oneof(group, exclusive), { maxLength: 2, size: "max" }))
        .map(([first, others]) => [first, ...others]),
      moves: movesOf({ send: 8, sendPrefix: 2, cancel: 2, reject: 1, extend: 1, cancelRun: 1 }, 7),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      keys: fc.constant(0),
      openings: some(inbox, 2),
      moves: movesOf({ message: 5, cancelRun: 1 }, 6),
    }),
  },
);

/** The same seed gives the same schedules and the same crashes. */
export function schedulesOf(seed: number, count: number): readonly Schedule[] {
  return fc.sample(schedule, { seed, numRuns: count });
}

/** Each crash point in turn, at moments that are spread over as many schedules. */
export function crashesOf(seed: number, count: number, schedules: number): readonly Crash[] {
  const passes = fc.integer({ min: 5, max: Math.max(120, Math.ceil(schedules / 3)) });
  const numbers = count === 0 ? [] : fc.sample(passes, { seed, numRuns: count });
  return numbers.flatMap((number, index) => {
    const point = crashPoints[(seed + index) % crashPoints.length];
    return point === undefined ? [] : [{ point, passes: number }];
  });
}
