import { isDeepStrictEqual } from "node:util";
import type { MessageRow, RunRow } from "./evidence.ts";
import type { Opening } from "./schedules.ts";

/** O1 S6: numbered without holes, taken in order and by kind, and each told once to the run that took it. */
export function ofInbox(run: RunRow, opening: Opening | undefined, all: readonly MessageRow[]): string[] {
  if (opening?.kind !== "inbox") return [];
  const { names, max } = opening;
  const messages = all.filter(({ run_id }) => run_id === run.id);
  const found: string[] = [];
  if (messages.some(({ sequence }, index) => sequence !== index + 1)) found.push(`the inbox of ${run.id} has holes`);
  const read = messages.filter((message) => message.is_read);
  const fits = ({ name }: MessageRow) => names === null || names.includes(name);
  if (read.length > max || !read.every(fits)) found.push(`${run.id} has read what it did not ask for`);
  const last = read.at(-1)?.sequence ?? 0;
  const skipped = messages.filter(
    (message) => message.sequence < last && !message.is_read && message.disposition !== "late" && fits(message),
  );
  if (skipped.length > 0) found.push(`${run.id} has passed over message ${skipped[0]?.sequence}`);
  if (run.status === "completed" && run.result?.reason === "event") {
    const { messages: told = [] } = (run.result.told ?? {}) as { messages?: readonly { payload: unknown }[] };
    const sent = read.map(({ payload }) => payload);
    if (
      !isDeepStrictEqual(
        told.map(({ payload }) => payload),
        sent,
      )
    ) {
      found.push(`${run.id} was told ${JSON.stringify(told)} of ${JSON.stringify(sent)}`);
    }
  }
  return found;
}
