import type { BulkTriggerItem, ExpectedSet, JsonValue, PrefixSendMode, SendPrefix } from "@strait/contract";
import { DEFAULT_PREFIX_LIMIT } from "./defaults.ts";
import { prefixOf } from "./request-rules.ts";

// Requests with what their absent fields mean: a body may be absent as a whole.

/** What a caller says about one run. */
export interface TriggerInput {
  readonly payload: JsonValue;
  readonly tags: Record<string, string>;
  readonly scheduled_at: string | null;
  readonly priority: number;
  readonly ttl_secs: number | null;
  readonly idempotency_key: string | null;
}

export function triggerInputOf(
  body: Omit<BulkTriggerItem, "idempotency_key"> | undefined,
  idempotencyKey: string | null | undefined,
): TriggerInput {
  return {
    payload: body?.payload ?? null,
    tags: body?.tags ?? {},
    scheduled_at: body?.scheduled_at ?? null,
    priority: body?.priority ?? 0,
    ttl_secs: body?.ttl_secs ?? null,
    idempotency_key: idempotencyKey ?? null,
  };
}

/** What a sender to a prefix asks for. */
export interface PrefixSendInput {
  /** In NFC. */
  readonly prefix: string;
  readonly payload: JsonValue;
  readonly mode: PrefixSendMode;
  readonly dry_run: boolean;
  readonly expect: ExpectedSet;
  readonly limit: number;
  readonly cursor: string | undefined;
}

/** @throws {StraitError} `validation_error` for a text that is no prefix, or a short one. */
export function prefixSendOf(prefix: string, body: SendPrefix | undefined): PrefixSendInput {
  return {
    prefix: prefixOf(prefix, body?.allow_short ?? false),
    payload: body?.payload ?? null,
    mode: body?.mode ?? "each",
    dry_run: body?.dry_run ?? false,
    expect: body?.expect ?? {},
    limit: body?.limit ?? DEFAULT_PREFIX_LIMIT,
    cursor: body?.cursor,
  };
}
