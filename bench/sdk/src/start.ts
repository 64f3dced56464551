import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Workshop } from "./prepare.ts";

/** What loading a client costs a process that has just started, in each round. */
export interface StartCosts {
  readonly name: string;
  readonly millis: readonly number[];
  /** Of the heap, after a collection. */
  readonly megabytes: readonly number[];
}

export function measureStart({ folder, ours }: Workshop, rounds: number): StartCosts[] {
  const inWorkshop = (file: string): string => pathToFileURL(path.join(folder, "gen", file)).href;
  const modules = {
    nothing: "data:text/javascript,0",
    "@strait/ts": pathToFileURL(path.join(ours, "dist", "index.js")).href,
    "openapi-fetch": "openapi-fetch",
    "hey-api, all operations": inWorkshop("hey-api-all.mjs"),
    redocly: inWorkshop("redocly.mjs"),
    openai: "openai",
  };
  const costs = Object.entries(modules).map(([name, id]) => ({
    name,
    id,
    millis: [] as number[],
    megabytes: [] as number[],
  }));
  for (let round = 0; round < rounds; round++) {
    for (const { id, millis, megabytes } of costs) {
      const [time = Number.NaN, size = Number.NaN] = start(folder, id);
      millis.push(time);
      megabytes.push(size / 1e6);
    }
  }
  return costs;
}

/** In a file of its own, as a service has it: what is given to `--eval` loads the loader along, for 8 ms. */
function start(folder: string, id: string): number[] {
  const program = path.join(folder, "start.mjs");
  writeFileSync(
    program,
    `gc();
    const before = process.memoryUsage().heapUsed;
    const started = performance.now();
    await import(${JSON.stringify(id)});
    const millis = performance.now() - started;
    gc();
    console.log(JSON.stringify([millis, process.memoryUsage().heapUsed - before]));`,
  );
  const output = execFileSync(process.execPath, ["--expose-gc", program], { cwd: folder });
  return JSON.parse(output.toString()) as number[];
}
