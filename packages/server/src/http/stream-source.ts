import type { Watched } from "../store/changes.ts";
import type { Topic } from "../store/channel.ts";

/** What a stream shows now, and how far that is. */
export interface Snapshot {
  readonly data: unknown;
  /** The place of the last change that `data` contains. */
  readonly position: string;
  readonly isTerminal: boolean;
}

export interface Delta {
  readonly data: unknown;
  readonly position: string;
}

export interface Deltas {
  readonly deltas: readonly Delta[];
  /** Whether nothing follows these. */
  readonly isTerminal: boolean;
  /** Whether there is more that may be read at once, or soon: what an older transaction still holds up. */
  readonly hasMore: boolean;
}

/** Where a stream reads. Positions are opaque texts that the source itself can compare. */
export interface StreamSource {
  /** Names the stream in its cursors, so that a foreign one is refused. Streams of one name show the same. */
  readonly name: string;
  readonly topic: Topic;
  /** What its positions look like: a cursor comes from outside. */
  readonly positions: RegExp;
  /** Whether position `a` lies behind `b`, so that a reader at `a` has seen more. */
  isBehind(a: string, b: string): boolean;
  /** What tells whether there is anything behind `position`, for all streams of the process in one statement. */
  watched(position: string): Watched;
  snapshot(): Promise<Snapshot>;
  /** Changes behind `position`, once and in order; undefined when it is not known any more where that is. */
  deltasAfter(position: string): Promise<Deltas | undefined>;
}
