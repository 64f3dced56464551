import pg from "pg";
import { onTestFinished, vi } from "vitest";

export interface RecordedStatement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** What this process sends to PostgreSQL from now on until the test has finished, oldest first. */
export function recordStatements(): RecordedStatement[] {
  const recorded: RecordedStatement[] = [];
  const send = pg.Client.prototype.query;
  const spy = vi.spyOn(pg.Client.prototype, "query").mockImplementation(function (
    this: pg.Client,
    ...given: unknown[]
  ) {
    const [statement, values] = given as [string | { text: string; values?: unknown[] }, unknown];
    recorded.push(
      typeof statement === "string"
        ? { text: statement, values: Array.isArray(values) ? values : [] }
        : { text: statement.text, values: statement.values ?? [] },
    );
    return Reflect.apply(send, this, given);
  });
  onTestFinished(() => spy.mockRestore());
  return recorded;
}
