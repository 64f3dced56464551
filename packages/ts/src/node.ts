import { type Client, type ClientOptions, createClient } from "./index.ts";

export { type UndiciAnswer, type UndiciRequest, undiciFetch } from "./undici.ts";

/** Settings of a client beyond those that the environment has. */
export type EnvironmentOptions = Omit<ClientOptions<"bearer">, "baseUrl" | "auth"> & {
  /** Default: the environment of the process. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
};

/**
 * Makes a client for an API key from `STRAIT_BASE_URL` and `STRAIT_API_KEY`, and `STRAIT_TIMEOUT_MS` if it is set.
 *
 * @throws {TypeError} When one of them is missing or wrong; the message names the variable and never its value.
 *
 * @example
 * ```ts
 * import { createClientFromEnv } from "@strait/ts/node";
 *
 * const client = createClientFromEnv();
 * ```
 */
export function createClientFromEnv({ env = environment(), ...options }: EnvironmentOptions = {}): Client<"bearer"> {
  const { STRAIT_TIMEOUT_MS: timeout } = env;
  if (timeout !== undefined && !/^\d+$/.test(timeout)) {
    throw new TypeError("STRAIT_TIMEOUT_MS must be a whole number of milliseconds");
  }
  return createClient({
    ...(timeout === undefined ? {} : { timeoutMs: Number(timeout) }),
    ...options,
    baseUrl: setting(env, "STRAIT_BASE_URL"),
    auth: { type: "bearer", token: setting(env, "STRAIT_API_KEY") },
  });
}

/** Read like this, since nothing else of this package is compiled with the types of Node. */
function environment(): Readonly<Record<string, string | undefined>> {
  const { process } = globalThis as {
    readonly process?: { readonly env: Readonly<Record<string, string | undefined>> };
  };
  return process?.env ?? {};
}

function setting(env: Readonly<Record<string, string | undefined>>, name: string): string {
  const value = env[name]?.trim();
  if (!value) throw new TypeError(`${name} is not set; set it in the environment of this process`);
  return value;
}
