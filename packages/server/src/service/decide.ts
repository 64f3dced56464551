import { judgeBy, type TermsJudge } from "../domain/judge.ts";
import { filtersOf } from "./filter.ts";
import { schemasOf } from "./payload-schema.ts";

/** Decides about events of a project. */
export function judgeOf(projectId: string): TermsJudge {
  const { passes } = filtersOf(projectId);
  const { payloadIssues } = schemasOf(projectId);
  return judgeBy({ passes, payloadIssues });
}
