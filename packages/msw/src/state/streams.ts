import type { StreamEvent } from "@strait/contract";
import { END, encodeFrame, foreignCursor, KEEPALIVE, RETRY } from "@strait/server/pure";
import { HttpResponse } from "msw";
import { streamResponse } from "../answers.ts";
import type { Table } from "./table.ts";

/** What a stream needs besides what it tells of. */
export interface StreamOptions {
  readonly keepaliveMs: number;
  /** Ends every stream. */
  readonly closing: AbortSignal;
}

interface Subject<Row extends { readonly id: string }> {
  readonly table: Table<Row>;
  readonly id: string;
  isTerminal(row: Row): boolean;
}

/**
 * The stream of one row: a snapshot, or what follows the cursor, then every change, `keepalive` events, and `end` at a terminal
 * status (T1). 204 where nothing follows the cursor any more.
 *
 * @throws {StraitError} `validation_error` for the cursor of another stream, `Last-Event-ID` or else that of the query.
 */
export function openStream<Row extends { readonly id: string }>(
  { table, id, isTerminal }: Subject<Row>,
  query: { readonly cursor?: string },
  request: Request,
  { keepaliveMs, closing }: StreamOptions,
): Response {
  const versions = () => table.versions(id);
  const hasEnded = () => versions().slice(-1).every(isTerminal);
  const cursor = request.headers.get("last-event-id") ?? query.cursor;
  const resumed = cursor === undefined ? undefined : positionOf(cursor, id);
  if (resumed === versions().length && hasEnded()) return new HttpResponse(null, { status: 204 });
  let told = resumed ?? versions().length - 1;
  let stop = () => {};

  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      const frame = (event: StreamEvent) => controller.enqueue(encodeFrame(event));
      const tell = () => {
        for (const row of versions().slice(told)) frame({ event: "status", id: cursorOf(id, ++told), data: row });
        if (!hasEnded()) return;
        controller.enqueue(END);
        stop();
        controller.close();
      };
      const keepalive = setInterval(() => controller.enqueue(KEEPALIVE), keepaliveMs);
      // MSW does not tell when a reader leaves: a program of Node.js ends all the same.
      if (typeof keepalive === "object") keepalive.unref();
      const leave = table.watch(id, tell);
      const abort = () => {
        stop();
        controller.error(request.signal.aborted ? request.signal.reason : new Error("the mock server was closed"));
      };
      stop = () => {
        clearInterval(keepalive);
        leave();
        request.signal.removeEventListener("abort", abort);
        closing.removeEventListener("abort", abort);
      };
      request.signal.addEventListener("abort", abort);
      closing.addEventListener("abort", abort);
      controller.enqueue(RETRY);
      tell();
    },
    cancel: () => stop(),
  });
  return streamResponse(200, body);
}

const cursorOf = (id: string, position: number): string => btoa(`${id}|${position}`);

function positionOf(cursor: string, id: string): number {
  const [given, position] = decoded(cursor).split("|");
  if (given === id && position !== undefined && /^\d+$/.test(position)) return Number(position);
  throw foreignCursor("/query/cursor");
}

function decoded(cursor: string): string {
  try {
    return atob(cursor);
  } catch {
    return "";
  }
}
