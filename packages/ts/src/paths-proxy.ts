import type { Client } from "openapi-fetch";

/** An openapi-fetch client whose paths its user knows. */
export type UntypedPaths = Client<Record<string, never>>;

const methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH", "TRACE", "request"] as const;

/** An openapi-fetch client that loads what it is made of when it is first used: most programs never do. */
export function lazyPaths(load: () => Promise<UntypedPaths>): UntypedPaths {
  let loading: Promise<UntypedPaths> | undefined;
  // What is asked first is done first, since all of it hangs on one promise.
  const whenLoaded = <Result>(use: (client: UntypedPaths) => Result): Promise<Awaited<Result>> => {
    loading ??= load();
    return loading.then(use) as Promise<Awaited<Result>>;
  };
  const lazy: Record<string, unknown> = {
    use: (...middleware: Parameters<UntypedPaths["use"]>) => void whenLoaded((client) => client.use(...middleware)),
    eject: (...middleware: Parameters<UntypedPaths["eject"]>) =>
      void whenLoaded((client) => client.eject(...middleware)),
  };
  for (const method of methods) {
    lazy[method] = (...input: readonly unknown[]) =>
      whenLoaded((client) => Reflect.apply(client[method], client, input));
  }
  return lazy as unknown as UntypedPaths;
}
