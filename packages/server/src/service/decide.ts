import { judgeBy } from "../domain/judge.ts";
import { passes } from "./filter.ts";
import { payloadIssues } from "./payload-schema.ts";

export const { decide, hears, misfits } = judgeBy({ passes, payloadIssues });
