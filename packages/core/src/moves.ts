/** One legal move of a state machine: the statuses it may leave, and the one it enters. */
export interface Move<Status extends string> {
  readonly from: readonly Status[];
  readonly to: Status;
  /** The move takes up something that had ended, so the statuses it leaves still count as terminal. */
  readonly reopens?: true;
}

/** The moves of one state machine, by name. */
export type Moves<Status extends string> = Readonly<Record<string, Move<Status>>>;

/** The statuses where a thing has ended: only moves that reopen leave them. In the order of `all`. */
export function terminal<Status extends string>(all: readonly Status[], moves: Moves<Status>): readonly Status[] {
  const left = new Set(Object.values(moves).flatMap((move) => (move.reopens ? [] : move.from)));
  return all.filter((status) => !left.has(status));
}

/** Whether `move` may be made in `status`. */
export function allows<Status extends string>(move: Move<Status>, status: Status): boolean {
  return move.from.includes(status);
}

/** The names of the moves that may be made in `status`, in the order of the table: what a client can offer. */
export function movesFrom<Name extends string, Status extends string>(
  moves: Readonly<Record<Name, Move<Status>>>,
  status: Status,
): Name[] {
  const names = Object.keys(moves) as Name[];
  return names.filter((name) => allows(moves[name], status));
}
