import type { Job } from "@strait/contract";

// What absent fields mean. The contract says the same to whoever reads it.

/** How long a wait takes when it does not say: an hour. */
export const DEFAULT_TIMEOUT_SECS = 3_600;

/** How long an event that nobody waits for is kept when its sender does not say: seven days. */
export const DEFAULT_TTL_SECS = 604_800;

/** How many waits a send to a prefix answers at most when it does not say. */
export const DEFAULT_PREFIX_LIMIT = 1_000;

/** How many messages that a run has not taken its inbox holds when the project does not say. */
export const DEFAULT_MAX_UNREAD = 1_000;

/** What a run takes of its inbox at once, at most, unless a single message is larger: it becomes the run's checkpoint. */
export const MAX_TAKEN_BYTES = 1_048_576;

export const JOB_DEFAULTS = {
  description: null,
  fallback_endpoint_url: null,
  payload_schema: null,
  tags: {},
  max_attempts: 3,
  timeout_secs: 300,
  run_ttl_secs: null,
  retry_strategy: "exponential",
  retry_delays_secs: [],
  default_run_metadata: {},
  on_worker_lost: "retry",
  enabled: true,
} as const satisfies Partial<Job>;
