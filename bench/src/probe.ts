import type { Store } from "./store.ts";

/** One line of what a probe found. */
export interface Finding {
  readonly label: string;
  readonly value: string;
  /** What has to hold, and whether it does. */
  readonly bar?: { readonly text: string; readonly isMet: boolean };
}

export interface ProbeSetting {
  readonly store: Store;
  readonly nodeArgs: readonly string[];
  readonly isQuick: boolean;
}

/** Measures something of ours that the sketch does not have. */
export interface Probe {
  readonly title: string;
  run(setting: ProbeSetting): Promise<readonly Finding[]>;
}

export function atMost(value: number, bar: number, unit = ""): Required<Finding>["bar"] {
  return { text: `at most ${bar}${unit}`, isMet: value <= bar };
}

export function atLeast(value: number, bar: number, unit = ""): Required<Finding>["bar"] {
  return { text: `at least ${bar.toLocaleString("en-US")}${unit}`, isMet: value >= bar };
}
