import { connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface DatabaseProxy {
  /** Of the same database, reached through the proxy. */
  readonly url: string;
  /**
   * Breaks the connection that sends `marker` next, when the transaction in which it was sent has ended: PostgreSQL has
   * committed, and nobody hears of it. Resolves when that has happened. `skip` messages with the marker pass before.
   */
  loseAcknowledgementOf(marker: string, skip?: number): Promise<void>;
}

/** ReadyForQuery outside a transaction: the last message behind a commit. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Stands between a server and its database, and loses what it is told to. */
export async function startDatabaseProxy(databaseUrl: string): Promise<DatabaseProxy> {
  const target = new URL(databaseUrl);
  let loss: { readonly marker: string; skip: number; readonly lost: () => void } | undefined;
  const sockets = new Set<Socket>();

  const server = createServer((client) => {
    const upstream = connect(Number(target.port || 5432), target.hostname);
    let losing: (() => void) | undefined;
    const end = () => {
      client.destroy();
      upstream.destroy();
    };
    for (const socket of [client, upstream]) {
      sockets.add(socket.setNoDelay());
      socket.on("error", end).on("close", end);
    }
    client.on("data", (chunk) => {
      if (loss && chunk.includes(loss.marker) && loss.skip-- === 0) {
        losing = loss.lost;
        loss = undefined;
      }
      upstream.write(chunk);
    });
    upstream.on("data", (chunk) => {
      if (losing && chunk.subarray(-READY.length).equals(READY)) {
        end();
        losing();
      } else client.write(chunk);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  const url = new URL(databaseUrl);
  url.hostname = "127.0.0.1";
  url.port = String(typeof address === "object" ? address?.port : address);
  return {
    url: url.href,
    loseAcknowledgementOf: (marker, skip = 0) =>
      new Promise((lost) => {
        loss = { marker, skip, lost };
      }),
  };
}
