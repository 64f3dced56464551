// What of the server needs neither a database nor Node.js. `@strait/msw` is made of it, so that the mocks check, decide and
// refuse as the server does, in its words.

export { actorOf } from "./domain/actor.ts";
export { bufferedSince } from "./domain/buffered-since.ts";
export {
  disabled,
  hasLiveRuns,
  noSteps,
  otherSet,
  otherVersion,
  severalWait,
  slugTaken,
  tooManyForOne,
} from "./domain/conflicts.ts";
export { decideReject, type MeantWait, mismatch, type Rejection, type Send } from "./domain/decide-send.ts";
export {
  DEFAULT_MAX_UNREAD,
  DEFAULT_TIMEOUT_SECS,
  DEFAULT_TTL_SECS,
  JOB_DEFAULTS,
  MAX_TAKEN_BYTES,
} from "./domain/defaults.ts";
export { classOfStatus } from "./domain/error-class.ts";
export {
  conflict,
  expectationFailed,
  foreignRunToken,
  idempotencyMismatch,
  illegalMove,
  inboxFull,
  noRoute,
  notFound,
  otherStream,
  payloadMismatch,
  runClosed,
  StraitError,
  tokenExpired,
  unauthorized,
  validationError,
  waitClosed,
} from "./domain/errors.ts";
export { isExpected } from "./domain/expected-set.ts";
export { judgeBy } from "./domain/judge.ts";
export { meet, metBy, type Standing } from "./domain/meet.ts";
export { normalizeSteps, sleepSecs } from "./domain/normalize-steps.ts";
export { placeBeside } from "./domain/place-wait.ts";
export { planSteps, type StepAction } from "./domain/plan-steps.ts";
export {
  canceledBecause,
  endpointAnswered,
  endpointUnreachable,
  unusableJob,
  WAIT_TIMED_OUT,
  WORKFLOW_RUN_FAILED,
  waitCanceled,
  waitEnded,
  waitRejected,
  waitSuperseded,
} from "./domain/reasons.ts";
export { type PrefixSendInput, prefixSendOf, type TriggerInput, triggerInputOf } from "./domain/request-defaults.ts";
export {
  checkNewDeadline,
  checkOneDeadline,
  checkWindow,
  eventKeyOf,
  foreignCursor,
  foreignPage,
  oneOf,
  unknownJob,
} from "./domain/request-rules.ts";
export { checkFence } from "./domain/run-fence.ts";
export { afterRunFailure } from "./domain/run-retry.ts";
export { type StepKey, stepKey, unfilledPayload } from "./domain/step-key.ts";
export { outputOf, stepPayload } from "./domain/step-payload.ts";
export { effectOf } from "./domain/wait-effect.ts";
export { asciiJson } from "./wire/ascii-json.ts";
export { credentialOf, isJwt, projectNamed, requireScope } from "./wire/credentials.ts";
export { envelope, headersOf, refusalHeaders } from "./wire/envelope.ts";
export { filters } from "./wire/filter.ts";
export { idempotencyKeyOf } from "./wire/idempotency-key.ts";
export { parseBody } from "./wire/json-body.ts";
export { payloadSchemas } from "./wire/payload-schema.ts";
export { checkEncoding, queryOf } from "./wire/query.ts";
export { type RequestChecks, requestChecks } from "./wire/request-checks.ts";
export { END, encodeFrame, KEEPALIVE, RETRY, SSE_HEADERS } from "./wire/sse.ts";
