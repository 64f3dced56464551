import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** A way to a server that can break off. */
export interface BreakableConnection {
  readonly url: string;
  /** Cuts all connections. New ones get through. */
  breakOff(): void;
  close(): Promise<void>;
}

export async function breakableConnection(target: string): Promise<BreakableConnection> {
  const port = Number(new URL(target).port);
  const sockets = new Set<Socket>();
  const server = createServer((browser) => {
    const strait = connect({ host: "127.0.0.1", port });
    for (const [socket, other] of [[browser, strait] as const, [strait, browser] as const]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const breakOff = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    breakOff,
    close() {
      breakOff();
      return new Promise((resolve) => server.close(() => resolve()));
    },
  };
}
