import {
  SIGNATURE_TOLERANCE_SECS,
  standardSignature,
  standardSignedContent,
  straitSignature,
  straitSignedContent,
} from "@strait/core";
import type { JsonValue } from "./index.ts";

/** A message that has been proven to come from the server. */
export interface VerifiedWebhook {
  /** The same for every attempt at this message, so that a repetition can be dropped. */
  readonly id: string;
  /** Unix time in seconds at which the attempt was made. */
  readonly timestampSecs: number;
  /** The body as it arrived, parsed. */
  readonly payload: JsonValue;
}

/** A request as far as its signature needs it: a `Request`'s headers, or those of Node in lower case. */
export interface SignedRequest {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>;
  /** The text that arrived, not what became of it after parsing. */
  readonly body: string;
}

export interface VerifyOptions {
  /** The project's `signing_secret` (`whsec_...`); several while one takes the place of another. */
  readonly secret: string | readonly string[];
  /** Seconds by which the time of the message may differ from `nowMs`. Default 300. */
  readonly toleranceSecs?: number | undefined;
  /** Milliseconds since the epoch. Default: now. */
  readonly nowMs?: number | undefined;
}

/** The message is not to be believed; `reason` says why, for a log rather than for whoever sent it. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
  readonly reason: "missing_headers" | "too_old_or_too_new" | "wrong_signature" | "not_json";

  constructor(reason: WebhookError["reason"], message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Checks that a webhook or a dispatch comes from the server and is recent, by its Standard Webhooks signature. Signatures
 * are compared in constant time.
 *
 * @throws {WebhookError} When it is not to be believed. Answer it with 401 and nothing else.
 * @throws {TypeError} When a secret is not one.
 *
 * @example
 * ```ts
 * const { id, payload } = await verifyWebhook(
 *   { headers: request.headers, body: await request.text() },
 *   { secret: signingSecret },
 * );
 * ```
 */
export async function verifyWebhook(
  { headers, body }: SignedRequest,
  { secret, toleranceSecs = SIGNATURE_TOLERANCE_SECS, nowMs = Date.now() }: VerifyOptions,
): Promise<VerifiedWebhook> {
  const id = readHeader(headers, "webhook-id");
  const timestamp = readHeader(headers, "webhook-timestamp");
  const signatures = readHeader(headers, "webhook-signature");
  if (!id || !signatures || !timestamp || !/^\d{1,12}$/.test(timestamp)) {
    throw new WebhookError(
      "missing_headers",
      "webhook-id, webhook-timestamp or webhook-signature is missing or broken",
    );
  }
  const timestampSecs = Number(timestamp);
  // Not `>`: of a tolerance that is no number nothing is true, and what is as old as you like would pass.
  if (!(Math.abs(nowMs / 1_000 - timestampSecs) <= toleranceSecs)) {
    throw new WebhookError("too_old_or_too_new", `the message is more than ${toleranceSecs} s from our time`);
  }
  const given = signatures.split(" ").flatMap((entry) => fromBase64(/^v1,(.+)$/.exec(entry)?.[1]) ?? []);
  const content = encoder.encode(standardSignedContent(id, timestampSecs, body));
  let isGenuine = false;
  for (const each of typeof secret === "string" ? [secret] : secret) {
    const key = await importKey(each, "verify");
    for (const signature of given)
      isGenuine = (await crypto.subtle.verify("HMAC", key, signature, content)) || isGenuine;
  }
  if (!isGenuine) throw new WebhookError("wrong_signature", "no signature fits: is it the project's signing_secret?");
  try {
    return { id, timestampSecs, payload: JSON.parse(body) };
  } catch {
    throw new WebhookError("not_json", "the signature fits, but the body is not JSON");
  }
}

/**
 * Makes the headers that the server would send with a body. For tests of a receiver.
 *
 * @param message - `timestampSecs` is Unix time; default: now.
 */
export async function signWebhook(
  message: { readonly id: string; readonly body: string; readonly timestampSecs?: number | undefined },
  secret: string,
): Promise<Record<string, string>> {
  const { id, body, timestampSecs = Math.floor(Date.now() / 1_000) } = message;
  const key = await importKey(secret, "sign");
  const sign = async (content: string) =>
    new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(content)));
  const standard = await sign(standardSignedContent(id, timestampSecs, body));
  const strait = await sign(straitSignedContent(timestampSecs, body));
  return {
    "webhook-id": id,
    "webhook-timestamp": String(timestampSecs),
    "webhook-signature": standardSignature(btoa(String.fromCharCode(...standard))),
    "x-strait-timestamp": String(timestampSecs),
    "x-strait-signature": straitSignature(Array.from(strait, (byte) => byte.toString(16).padStart(2, "0")).join("")),
  };
}

const encoder = new TextEncoder();

function readHeader(headers: SignedRequest["headers"], name: string): string | undefined {
  if (headers instanceof Headers) return headers.get(name) ?? undefined;
  const value = headers[name];
  return typeof value === "string" ? value : undefined;
}

function importKey(secret: string, use: "sign" | "verify"): ReturnType<typeof crypto.subtle.importKey> {
  const bytes = secret.startsWith("whsec_") ? fromBase64(secret.slice("whsec_".length)) : undefined;
  if (!bytes) throw new TypeError('a signing secret is "whsec_" and base64; copy the signing_secret of the project');
  return crypto.subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, [use]);
}

/** Undefined for what is not base64, or empty. */
function fromBase64(text: string | undefined): Uint8Array<ArrayBuffer> | undefined {
  try {
    return text ? Uint8Array.from(atob(text), (character) => character.charCodeAt(0)) : undefined;
  } catch {
    return undefined;
  }
}
