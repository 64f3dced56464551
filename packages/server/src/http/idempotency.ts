import { createCipheriv, createDecipheriv, createHash, hash, randomBytes } from "node:crypto";
import { idempotencyMismatch, unavailable } from "../domain/errors.ts";
import { type Context, joinedContext } from "../service/context.ts";
import * as idempotency from "../store/idempotency.ts";

export const bodyHash = (text: string): string => hash("sha256", text);

export interface Answer {
  readonly status: number;
  readonly text: string | null;
}

/**
 * Runs `work` once per key: its effects and its answer are one transaction, so a repeat either finds both or neither. Of
 * two at the same time the second waits for the first. A refusal is not kept: the same request may do better later.
 *
 * Answers are encrypted, since some of them hold a secret that is stored nowhere else.
 *
 * @throws {StraitError} `idempotency_mismatch` when the key was used with another body; whatever `work` throws.
 */
export function onceOnly(
  context: Context,
  key: idempotency.IdempotencyKey,
  sealingKey: string,
  work: (context: Context) => Promise<Answer>,
): Promise<{ response: Answer; isReplayed: boolean }> {
  return context.db.transaction(async (tx) => {
    const [taken] = await idempotency.take(tx, [key]);
    if (taken) {
      const response = await work(joinedContext(context, tx));
      const stored = response.text === null ? null : seal(response.text, sealingKey);
      await idempotency.answer(tx, [{ ...key, status: response.status, response: stored }]);
      return { response, isReplayed: false };
    }
    const [stored] = await idempotency.find(tx, [key]);
    if (!stored || stored.status === null)
      throw unavailable("the first request with this key has not ended; send it again");
    if (stored.body_hash !== key.body_hash) throw idempotencyMismatch(key.key);
    const text = stored.response === null ? null : unseal(stored.response, sealingKey);
    return { response: { status: stored.status, text }, isReplayed: true };
  });
}

const ALGORITHM = "aes-256-gcm";

function seal(text: string, key: string): string {
  const iv = randomBytes(12);
  const cipher = createCipheriv(ALGORITHM, derive(key), iv);
  const body = Buffer.concat([cipher.update(text, "utf8"), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), body]).toString("base64");
}

function unseal(sealed: string, key: string): string {
  const bytes = Buffer.from(sealed, "base64");
  const decipher = createDecipheriv(ALGORITHM, derive(key), bytes.subarray(0, 12));
  decipher.setAuthTag(bytes.subarray(12, 28));
  return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString();
}

const derive = (key: string): Buffer => createHash("sha256").update(`idempotency:${key}`).digest();
