import type { EventTrigger } from "@strait/ts";
import { streamAddress } from "./api.ts";

interface Listener {
  onState(trigger: EventTrigger): void;
  onFailure(error: unknown): void;
}

/**
 * Tells each state of a trigger until it has ended. The browser comes back by itself when a connection breaks; when its
 * token has expired by then, the stream goes on with another one behind the last event that was seen.
 *
 * @returns What stops it.
 */
export function follow({ event_key: eventKey }: EventTrigger, { onState, onFailure }: Listener): () => void {
  let source: EventSource | undefined;
  let lastEventId = "";
  let isStopped = false;
  const stop = (): void => {
    isStopped = true;
    source?.close();
  };

  async function open(): Promise<void> {
    const address = await streamAddress(eventKey);
    if (isStopped) return;
    if (lastEventId !== "") address.searchParams.set("cursor", lastEventId);
    let hasHeard = false;
    const opened = new EventSource(address);
    source = opened;
    for (const name of ["status", "reset"]) {
      opened.addEventListener(name, (event: MessageEvent<string>) => {
        hasHeard = true;
        ({ lastEventId } = event);
        onState(JSON.parse(event.data) as EventTrigger);
      });
    }
    opened.addEventListener("end", stop);
    opened.addEventListener("error", () => {
      if (opened.readyState !== EventSource.CLOSED || isStopped) return;
      if (hasHeard) open().catch(onFailure);
      else onFailure(new Error("the stream cannot be opened"));
    });
  }

  open().catch(onFailure);
  return stop;
}
