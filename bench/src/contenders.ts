import type { Contender } from "./contender.ts";
import { ours } from "./ours.ts";
import { sketch } from "./sketch.ts";

export const contenders = { ours, sketch } as const satisfies Record<string, Contender>;
export type ContenderName = keyof typeof contenders;
export const contenderNames = Object.keys(contenders) as ContenderName[];
