import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { ContenderName } from "./contenders.ts";
import type { Figures, ScenarioName } from "./scenarios.ts";

/** What a driver is told, as JSON. */
export interface DriverOrder {
  readonly contender: ContenderName;
  readonly scenario: ScenarioName;
  readonly n: number;
  readonly keys: boolean;
  readonly databaseUrl: string;
  readonly storePid: number;
  readonly nodeArgs: readonly string[];
}

export type DriverReport =
  | { readonly ok: true; readonly figures: Figures }
  | { readonly ok: false; readonly error: string };

/** Plays one scenario with one contender, in a process of its own. Rejects when it does not come to its end. */
export function play(order: DriverOrder): Promise<Figures> {
  const driver = fork(fileURLToPath(new URL("driver.ts", import.meta.url)), [JSON.stringify(order)]);
  return new Promise((resolve, reject) => {
    driver.once("message", (report: DriverReport) => {
      if (report.ok) resolve(report.figures);
      else reject(new Error(report.error));
    });
    driver.once("error", reject);
    driver.once("exit", (code, signal) => reject(new Error(`the driver ended (${signal ?? `exit code ${code}`})`)));
  });
}
