import type { ServerResponse } from "node:http";

/** The way to one reader of a stream. */
export interface Outlet {
  /** Bytes that the reader has not taken yet. */
  readonly pending: number;
  write(bytes: Uint8Array): void;
  /** Resolves when next to nothing is pending, or when the reader has gone. */
  drained(): Promise<void>;
  end(): void;
  /** Cuts the connection and forgets what is pending. */
  destroy(): void;
}

/** Below this a writer goes on. */
const NEARLY_NOTHING = 16 * 1024;

/**
 * Writes to the response of Node's own server: a web stream between would cost memory for every reader, and would not
 * notice that one has stopped to read.
 */
export function nodeOutlet(response: ServerResponse, onGone: () => void): Outlet {
  response.once("close", onGone);
  if (response.destroyed) onGone();
  return {
    get pending() {
      return response.writableLength;
    },
    write(bytes) {
      if (!response.destroyed) response.write(bytes);
    },
    async drained() {
      if (response.destroyed || !response.writableNeedDrain) return;
      await new Promise<void>((resolve) => {
        const settle = () => {
          response.off("drain", settle).off("close", settle);
          resolve();
        };
        response.on("drain", settle).on("close", settle);
      });
    },
    end: () => void response.end(),
    destroy: () => void response.destroy(),
  };
}

/** Writes to a web stream, for callers without a connection. */
export function webOutlet(onGone: () => void): { readonly outlet: Outlet; readonly body: ReadableStream<Uint8Array> } {
  let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  let isOpen = true;
  let drained = () => {};
  const body = new ReadableStream<Uint8Array>(
    {
      start: (given) => {
        controller = given;
      },
      pull: () => drained(),
      cancel: () => {
        isOpen = false;
        drained();
        onGone();
      },
    },
    { size: ({ byteLength }) => byteLength, highWaterMark: NEARLY_NOTHING },
  );
  const pending = () => NEARLY_NOTHING - (controller?.desiredSize ?? NEARLY_NOTHING);
  const close = (how: () => void) => {
    if (!isOpen) return;
    isOpen = false;
    how();
    drained();
    onGone();
  };
  const outlet: Outlet = {
    get pending() {
      return pending();
    },
    write(bytes) {
      if (isOpen) controller?.enqueue(bytes);
    },
    async drained() {
      while (isOpen && pending() >= NEARLY_NOTHING) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
      }
    },
    end: () => close(() => controller?.close()),
    destroy: () => close(() => controller?.error(new Error("the connection is cut"))),
  };
  return { outlet, body };
}
