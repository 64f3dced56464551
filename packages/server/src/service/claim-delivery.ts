import * as deliveries from "../store/deliveries.ts";
import type { Context } from "./context.ts";
import { endpointIssue } from "./endpoint-rules.ts";
import type { Signer } from "./signing.ts";

/** How long a receiver may take. */
export const DELIVERY_TIMEOUT_MS = 15_000;
/** An attempt is over, and written down, well within its claim; so a second worker means that the first is gone. */
const LEASE_MS = 2 * DELIVERY_TIMEOUT_MS;

/** Takes deliveries that are due, for this process to attempt at once: the attempt is made outside of any transaction. */
export function claimDeliveries(
  { db }: Pick<Context, "db">,
  exceptProjects: readonly string[],
): Promise<deliveries.ClaimedDelivery[]> {
  return deliveries.claim(db, LEASE_MS, exceptProjects);
}

/** Why the URL may not be called at all, under the rules of today: it was checked when the wait opened. */
export function refusalOf(
  { allowPrivateEndpoints }: Pick<Context, "allowPrivateEndpoints">,
  delivery: deliveries.ClaimedDelivery,
): string | undefined {
  const issue = endpointIssue("/webhook_url", delivery.webhook_url, allowPrivateEndpoints);
  return issue && `the URL is not allowed: ${issue.fix}`;
}

/**
 * The headers of the attempt: who signs what and when (Standard Webhooks, and the original's own), and what it is about.
 * `webhook-id` is that of the delivery, so a receiver knows a message that it has seen.
 */
export function headersOf(
  { clock }: Pick<Context, "clock">,
  signer: Signer,
  delivery: deliveries.ClaimedDelivery,
): Record<string, string> {
  const attempt = delivery.attempts + 1;
  const headers: Record<string, string> = {
    "content-type": "application/json",
    "user-agent": "Strait-Webhook/1.0",
    ...signer.headersFor({
      projectId: delivery.project_id,
      signingVersion: delivery.signing_version,
      id: delivery.id,
      timestampSecs: Math.floor(clock.nowMs() / 1000),
      body: delivery.payload,
    }),
    "x-strait-delivery-id": delivery.id,
    "x-strait-attempt": `${attempt}/${delivery.max_attempts}`,
    "x-strait-idempotency-key": `${delivery.id}:${attempt}`,
  };
  if (delivery.event_trigger_id !== null) headers["x-strait-trigger-id"] = delivery.event_trigger_id;
  if (delivery.run_id !== null) headers["x-run-id"] = delivery.run_id;
  if (delivery.job_id !== null) headers["x-job-id"] = delivery.job_id;
  return headers;
}
