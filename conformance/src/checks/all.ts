import type { Check } from "../check.ts";
import { earlyEvents } from "./early-events.ts";
import { inboxes } from "./inboxes.ts";
import { prefixes } from "./prefixes.ts";
import { promiseChecks } from "./promises.ts";
import { races } from "./races.ts";
import { runsAndStreams } from "./runs-and-streams.ts";
import { sends } from "./sends.ts";
import { uniqueness } from "./uniqueness.ts";
import { upkeep } from "./upkeep.ts";

/** Every check, in no order: the list of rules has one. */
export const checks: readonly Check[] = [
  ...uniqueness,
  ...earlyEvents,
  ...sends,
  ...races,
  ...inboxes,
  ...prefixes,
  ...upkeep,
  ...runsAndStreams,
  ...promiseChecks,
];
