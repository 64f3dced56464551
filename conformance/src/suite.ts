import { openApi } from "./api.ts";
import type { Check } from "./check.ts";
import { startExecutor } from "./executor.ts";
import { Broken, Skipped } from "./expect.ts";
import type { RuleId } from "./rules.ts";
import { createWorld } from "./world.ts";

/** A server under test, and how it reaches us. */
export interface Target {
  /** The base URL of each of its processes. */
  readonly urls: readonly string[];
  /** With every scope. */
  readonly apiKey: string;
  /** Without it, checks that need another project are skipped. */
  readonly internalSecret?: string | undefined;
  /** Where the endpoint of the suite's jobs listens, and under which URL the server finds it. */
  readonly listen?: { readonly host: string; readonly port: number } | undefined;
  readonly executorUrl?: string | undefined;
}

export type Verdict =
  | { readonly kind: "pass" }
  | { readonly kind: "fail"; readonly why: string }
  | { readonly kind: "skip"; readonly why: string };

export interface Result {
  readonly rule: RuleId;
  readonly verdict: Verdict;
  readonly ms: number;
}

/** A server that cannot be tested. The message is all that its operator needs to see. */
export class Unusable extends Error {
  override readonly name = "Unusable";
}

/** They wait more than they work. */
const AT_A_TIME = 12;
const CHECK_LIMIT_MS = 45_000;

/**
 * Runs the checks against a server, a dozen at a time, each on keys of its own, and ends the runs that they leave behind.
 *
 * @param onResult - Told of each as it ends.
 * @throws {Unusable} When the server cannot be reached, or does not take the API key.
 */
export async function runSuite(
  target: Target,
  checks: readonly Check[],
  onResult: (result: Result) => void = () => {},
): Promise<Result[]> {
  const { urls, apiKey, internalSecret, listen = { host: "127.0.0.1", port: 0 }, executorUrl } = target;
  const api = openApi(urls, apiKey);
  for (const url of urls) await expectWelcome(url, apiKey);
  const executor = await startExecutor({ ...listen, publicUrl: executorUrl });
  const suite = `cf-${Date.now().toString(36)}`;
  const ends: (() => Promise<unknown>)[] = [];
  const results: Result[] = [];
  const waiting = [...checks];

  async function work(): Promise<void> {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const world = createWorld({
        api,
        apiKey,
        internalSecret,
        executor,
        prefix: `${suite}-${next.rule}`,
        onRun: (end) => ends.push(end),
      });
      const started = performance.now();
      const verdict = await judge(next.run(world));
      const result = { rule: next.rule, verdict, ms: performance.now() - started };
      results.push(result);
      onResult(result);
    }
  }
  try {
    await Promise.all(Array.from({ length: AT_A_TIME }, work));
  } finally {
    // Those that have ended refuse it.
    await Promise.all(ends.map((end) => end().catch(() => {})));
    await executor.close();
  }
  const order = new Map(checks.map(({ rule }, index) => [rule, index]));
  return results.sort((a, b) => (order.get(a.rule) ?? 0) - (order.get(b.rule) ?? 0));
}

async function expectWelcome(url: string, apiKey: string): Promise<void> {
  const { status, body } = await openApi([url], apiKey)
    .request("GET", "/v1/events?limit=1")
    .catch((error: Error) => {
      throw new Unusable(error.message, { cause: error });
    });
  if (status !== 200) throw new Unusable(`${url} answers ${status} to the API key: ${JSON.stringify(body)}`);
}

async function judge(running: Promise<void>): Promise<Verdict> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Broken(`no end within ${CHECK_LIMIT_MS / 1000} s`)), CHECK_LIMIT_MS);
  });
  try {
    await Promise.race([running, limit]);
    return { kind: "pass" };
  } catch (error) {
    if (error instanceof Skipped) return { kind: "skip", why: error.message };
    return { kind: "fail", why: error instanceof Broken ? error.message : String((error as Error).stack ?? error) };
  } finally {
    clearTimeout(timer);
  }
}
