import { createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { hmacSha256 } from "./hmac-sha256.ts";

describe("hmacSha256", () => {
  it("signs as createHmac does, whatever the length of the key and the letters of the text", () => {
    const encodings = fc.constantFrom("base64" as const, "base64url" as const, "hex" as const);
    const texts = fc.string({ unit: "grapheme", maxLength: 300 });

    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), texts, texts, encodings, (key, first, second, encoding) => {
        const sign = hmacSha256(key);
        // One key signs many texts, so nothing of one may stay for the next.
        for (const text of [first, second, first]) {
          expect(sign(text, encoding)).toBe(createHmac("sha256", key).update(text).digest(encoding));
        }
      }),
    );
  });
});
