import type { RuleId } from "./rules.ts";
import type { World } from "./world.ts";

/** The proof of one rule against a server: rejects where the rule does not hold. */
export interface Check {
  readonly rule: RuleId;
  run(world: World): Promise<void>;
}

export function check(rule: RuleId, run: (world: World) => Promise<void>): Check {
  return { rule, run };
}
