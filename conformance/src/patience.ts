import { Broken } from "./expect.ts";

const EVENTUALLY_MS = 20_000;
const POLL_MS = 20;

/** Asks until `look` finds something. @throws {Broken} After 20 seconds. */
export async function eventually<Value>(what: string, look: () => Promise<Value | undefined>): Promise<Value> {
  const deadline = performance.now() + EVENTUALLY_MS;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() > deadline) throw new Broken(`${what} did not come within ${EVENTUALLY_MS / 1000} s`);
    await sleep(POLL_MS);
  }
}

/** For rules about deadlines: the time of a server under test cannot be moved. */
export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.max(0, ms)));
}
