import { hash } from "node:crypto";

/** Signs texts with one key. */
export type HmacSha256 = (text: string, encoding: "base64" | "base64url" | "hex") => string;

/** Of SHA-256: a key is filled up to it, and one that is longer is hashed first. */
const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/** Of messages that fit: a hash is done when it returns. */
const scratch = Buffer.alloc(4096);

/**
 * HMAC-SHA256 (RFC 2104) out of the one-shot hash of `node:crypto`: a hash of the key and of a hash of the key and the
 * text. Every dispatch is signed three times, and `createHmac` makes a stream each time, which costs twice as much.
 */
export function hmacSha256(key: string | Uint8Array): HmacSha256 {
  const given = Buffer.from(key);
  const fitting = given.length > BLOCK_BYTES ? hash("sha256", given, "buffer") : given;
  const inner = Buffer.alloc(BLOCK_BYTES, 0x36);
  const outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES, 0x5c);
  for (const [index, byte] of fitting.entries()) {
    inner[index] = byte ^ 0x36;
    outer[index] = byte ^ 0x5c;
  }
  return (text, encoding) => {
    const bytes = BLOCK_BYTES + Buffer.byteLength(text);
    const message = bytes > scratch.length ? Buffer.allocUnsafe(bytes) : scratch.subarray(0, bytes);
    inner.copy(message);
    message.write(text, BLOCK_BYTES);
    hash("sha256", message, "buffer").copy(outer, BLOCK_BYTES);
    return hash("sha256", outer, encoding);
  };
}
