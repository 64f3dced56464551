/**
 * How signed messages are laid out. The HMAC-SHA256 itself is made where the secret is, with what the platform has:
 * `node:crypto` on the server, Web Crypto in a browser or at the edge.
 */

/** A receiver refuses a message whose timestamp is further from its own clock than this. */
export const SIGNATURE_TOLERANCE_SECS = 300;

/**
 * The text that Standard Webhooks signs (`webhook-id`, `webhook-timestamp` and the body as it is sent).
 *
 * @param timestampSecs - Unix time in whole seconds.
 * @see https://www.standardwebhooks.com
 */
export function standardSignedContent(id: string, timestampSecs: number, body: string): string {
  return `${id}.${timestampSecs}.${body}`;
}

/** The entry of the header `webhook-signature` for a signature in base64. */
export function standardSignature(base64: string): string {
  return `v1,${base64}`;
}

/**
 * The text that `X-Strait-Signature` signs (`X-Strait-Timestamp` and the body as it is sent).
 *
 * @param timestampSecs - Unix time in whole seconds.
 */
export function straitSignedContent(timestampSecs: number, body: string): string {
  return `${timestampSecs}.${body}`;
}

/** The value of the header `X-Strait-Signature` for a signature in lower-case hex. */
export function straitSignature(hex: string): string {
  return `v1=${hex}`;
}
