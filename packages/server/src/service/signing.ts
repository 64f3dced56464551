import { createHmac } from "node:crypto";
import { standardSignature, standardSignedContent, straitSignature, straitSignedContent } from "@strait/core";
import { type HmacSha256, hmacSha256 } from "./hmac-sha256.ts";

/** Signs what is sent to the endpoints of a project. */
export interface Signer {
  /** `whsec_` and the secret in base64, as the Standard Webhooks libraries take it. */
  secretOf(projectId: string, version: number): string;
  /** The headers that prove that the body comes from this server. */
  headersFor(message: SignedMessage): Record<string, string>;
}

export interface SignedMessage {
  readonly projectId: string;
  readonly signingVersion: number;
  /** The same for every attempt at one message. */
  readonly id: string;
  readonly timestampSecs: number;
  readonly body: string;
}

const MAX_CACHED = 10_000;

/**
 * A project's secret is derived from the master key, so none is stored: HMAC-SHA256 over the project and its version.
 */
export function signer(masterKey: string): Signer {
  const signers = new Map<string, HmacSha256>();

  const keyOf = (projectId: string, version: number): Buffer =>
    createHmac("sha256", masterKey).update(`signing:${projectId}:${version}`).digest();

  function hmacOf(projectId: string, version: number): HmacSha256 {
    const name = `${projectId}:${version}`;
    let hmac = signers.get(name);
    if (hmac === undefined) {
      if (signers.size === MAX_CACHED) signers.clear();
      hmac = hmacSha256(keyOf(projectId, version));
      signers.set(name, hmac);
    }
    return hmac;
  }

  return {
    secretOf: (projectId, version) => `whsec_${keyOf(projectId, version).toString("base64")}`,
    headersFor({ projectId, signingVersion, id, timestampSecs, body }) {
      const hmac = hmacOf(projectId, signingVersion);
      const timestamp = String(timestampSecs);
      return {
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": standardSignature(hmac(standardSignedContent(id, timestampSecs, body), "base64")),
        "x-strait-timestamp": timestamp,
        "x-strait-signature": straitSignature(hmac(straitSignedContent(timestampSecs, body), "hex")),
      };
    },
  };
}
