import type { Crash } from "../../src/store/crash-points.ts";
import type { Answer, RequestOptions } from "../server.ts";
import { type ServerProcess, startProcess } from "../server-process.ts";

/** Server processes on one database. One that dies is followed by another. */
export interface Fleet {
  /** How many have died, and of what. */
  readonly deaths: readonly string[];
  readonly apiKey: string;
  /**
   * Asks a process, and the next one when that dies, until there is an answer. Each of several `tries` may have had its
   * effect.
   */
  request(process: number, method: string, path: string, options?: RequestOptions): Promise<FleetAnswer>;
  /** Lets those that die stay dead, and resolves with what the others have logged. */
  retire(): string;
}

export interface FleetAnswer extends Answer {
  readonly tries: number;
}

const SIZE = 3;
const PATIENCE_MS = 180_000;

/** @param crashes - Each new process is given the next one; when they are used up the processes live. */
export async function startFleet(env: Readonly<Record<string, string>>, crashes: readonly Crash[]): Promise<Fleet> {
  const waiting = [...crashes];
  const members: ServerProcess[] = [];
  const deaths: string[] = [];
  const logs: string[] = [];
  let isRetired = false;

  async function enlist(place: number): Promise<void> {
    const crash = waiting.shift();
    const at = crash && `${crash.point}:${crash.passes}`;
    const member = await startProcess({ ...env, ...(at === undefined ? {} : { STRAIT_CRASH_AT: at }) });
    members[place] = member;
    void member.ended.then(() => {
      if (isRetired) return;
      logs.push(member.stderr);
      deaths.push(at ?? "by itself");
      enlist(place).catch((error: Error) => deaths.push(`could not be replaced: ${error.message}`));
    });
  }
  // The first one migrates, and lives until the others are there.
  for (let place = 0; place < SIZE; place++) await enlist(place);

  return {
    deaths,
    get apiKey() {
      return members[0]?.apiKey ?? "";
    },
    async request(process, method, path, options) {
      const deadline = performance.now() + PATIENCE_MS;
      for (let tries = 0; ; tries++) {
        const member = members[(process + tries) % SIZE];
        const answer = await member?.request(method, path, options).catch(() => undefined);
        if (answer && answer.status !== 503) return { ...answer, tries: tries + 1 };
        if (performance.now() > deadline) {
          throw new Error(`${method} ${path} has no answer: ${JSON.stringify(answer?.body)}; ${deaths.join(", ")}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    retire() {
      isRetired = true;
      return [...logs, ...members.map(({ stderr }) => stderr)].join("");
    },
  };
}
