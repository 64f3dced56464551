import { createHmac } from "node:crypto";
import { standardSignature, standardSignedContent, straitSignature, straitSignedContent } from "@strait/core";

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
  const cache = new Map<string, Buffer>();

  function keyOf(projectId: string, version: number): Buffer {
    const name = `signing:${projectId}:${version}`;
    let key = cache.get(name);
    if (key === undefined) {
      if (cache.size === MAX_CACHED) cache.clear();
      key = createHmac("sha256", masterKey).update(name).digest();
      cache.set(name, key);
    }
    return key;
  }

  return {
    secretOf: (projectId, version) => `whsec_${keyOf(projectId, version).toString("base64")}`,
    headersFor({ projectId, signingVersion, id, timestampSecs, body }) {
      const key = keyOf(projectId, signingVersion);
      const standard = createHmac("sha256", key)
        .update(standardSignedContent(id, timestampSecs, body))
        .digest("base64");
      const strait = createHmac("sha256", key).update(straitSignedContent(timestampSecs, body)).digest("hex");
      return {
        "webhook-id": id,
        "webhook-timestamp": String(timestampSecs),
        "webhook-signature": standardSignature(standard),
        "x-strait-timestamp": String(timestampSecs),
        "x-strait-signature": straitSignature(strait),
      };
    },
  };
}
