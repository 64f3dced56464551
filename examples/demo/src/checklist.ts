import { isDeepStrictEqual } from "node:util";

/** Something that the demo shows did not happen. */
export class Unmet extends Error {
  override readonly name = "Unmet";
}

/** What the demo promises to show. The first promise that is not kept ends it. */
export interface Checklist {
  /** The promises that were kept, in order. */
  readonly kept: readonly string[];
  /** Resolves with what `happening` resolves with. @throws {Unmet} When that fails or takes too long. */
  happens<Value>(promise: string, happening: Promise<Value>): Promise<Value>;
  /** @throws {Unmet} When `actual` is not deeply equal to `expected`. */
  equals(promise: string, actual: unknown, expected: unknown): void;
}

const LIMIT_MS = 15_000;

/** @param signal - Ends what is awaited, with its reason. */
export function createChecklist(signal: AbortSignal, limitMs: number = LIMIT_MS): Checklist {
  const kept: string[] = [];
  return {
    kept,
    async happens(promise, happening) {
      let giveUp = () => {};
      const given = new Promise<never>((_, reject) => {
        const timer = setTimeout(() => reject(new Error(`it did not happen within ${limitMs / 1000} s`)), limitMs);
        const onAbort = () => reject(signal.reason);
        if (signal.aborted) onAbort();
        signal.addEventListener("abort", onAbort);
        giveUp = () => {
          clearTimeout(timer);
          signal.removeEventListener("abort", onAbort);
        };
      });
      try {
        const value = await Promise.race([happening, given]);
        kept.push(promise);
        return value;
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        throw new Unmet(`${promise}: ${(error as Error).message}`, { cause: error });
      } finally {
        giveUp();
      }
    },
    equals(promise, actual, expected) {
      if (!isDeepStrictEqual(actual, expected)) {
        throw new Unmet(`${promise}: expected ${JSON.stringify(expected)}, got ${JSON.stringify(actual)}`);
      }
      kept.push(promise);
    },
  };
}
