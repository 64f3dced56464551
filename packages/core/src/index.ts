export { canonicalJson, jsonEquals } from "./canonical-json.ts";
export type { Checked, Problem } from "./checked.ts";
export {
  type DeliveryMove,
  deliveryMoves,
  isTerminalDeliveryStatus,
  terminalDeliveryStatuses,
} from "./delivery-status.ts";
export { formatDuration, parseDuration, parsePositiveDuration } from "./duration.ts";
export { checkEventKey, checkEventKeyPrefix, endOfPrefix, MAX_EVENT_KEY_LENGTH } from "./event-key.ts";
export {
  dependencyTest,
  type GraphProblem,
  type GraphStep,
  graphProblems,
  rootSteps,
  topologicalOrder,
  transitiveDependents,
} from "./graph.ts";
export { findJsonProblem, type JsonProblem, MAX_JSON_DEPTH } from "./json-limits.ts";
export { jsonPointer } from "./json-pointer.ts";
export { allows, type Move, type Moves, movesFrom, terminal } from "./moves.ts";
export { deliveryRetryDelayMs, MAX_DELIVERY_ATTEMPTS, type RetryPolicy, runRetryDelayMs } from "./retry-delay.ts";
export { isTerminalRunStatus, type RunMove, runMoves, terminalRunStatuses } from "./run-status.ts";
export {
  SIGNATURE_TOLERANCE_SECS,
  standardSignature,
  standardSignedContent,
  straitSignature,
  straitSignedContent,
} from "./signature.ts";
export { isTerminalStepStatus, type StepMove, stepMoves, terminalStepStatuses } from "./step-status.ts";
export {
  type Rendered,
  renderTemplate,
  renderText,
  type TemplatePath,
  type TemplateProblem,
  type TemplateScope,
  templatePaths,
} from "./template.ts";
export {
  isTerminalTriggerStatus,
  type TriggerMove,
  terminalTriggerStatuses,
  triggerMoves,
} from "./trigger-status.ts";
export {
  isTerminalWorkflowRunStatus,
  terminalWorkflowRunStatuses,
  type WorkflowRunMove,
  workflowRunMoves,
} from "./workflow-run-status.ts";
