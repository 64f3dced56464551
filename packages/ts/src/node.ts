import { type ConfigFile, readConfigFile } from "./config-file.ts";
import { type Client, type ClientOptions, createClient } from "./index.ts";

export { type UndiciAnswer, type UndiciRequest, undiciFetch } from "./undici.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/** Settings of a client beyond those that the environment has; they win over it. */
export type EnvironmentOptions = Omit<ClientOptions<"bearer">, "baseUrl" | "auth"> & {
  /** Default: the environment of the process. */
  readonly env?: Environment | undefined;
};

/** Settings of a client beyond those that the environment and the file have; they win over both. */
export type ConfigFileOptions = EnvironmentOptions & {
  /** The file, from the working directory. Default `strait.json`. */
  readonly path?: string | undefined;
};

/**
 * Makes a client for an API key from `STRAIT_BASE_URL` (or `STRAIT_URL`) and `STRAIT_API_KEY`, and `STRAIT_TIMEOUT_MS` if
 * it is set.
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
export function createClientFromEnv({ env = host().env, ...options }: EnvironmentOptions = {}): Client<"bearer"> {
  return fromSettings("createClientFromEnv", env, undefined, options);
}

/**
 * Makes a client from the section `sdk` of a `strait.json`: `base_url`, and `timeout_ms` if it is there. What the
 * environment has wins over the file, and the API key comes from `STRAIT_API_KEY` only: files are shared, keys are not.
 *
 * @throws {TypeError} When the file, a field of it or a variable is missing or wrong; the message names it and the fix.
 *
 * @example
 * ```ts
 * import { createClientFromConfigFile } from "@strait/ts/node";
 *
 * const client = createClientFromConfigFile(); // strait.json: { "sdk": { "base_url": "https://strait.dev" } }
 * ```
 */
export function createClientFromConfigFile({
  path = "strait.json",
  env = host().env,
  ...options
}: ConfigFileOptions = {}): Client<"bearer"> {
  const file = readConfigFile(path, host().getBuiltinModule("node:fs"));
  return fromSettings("createClientFromConfigFile", env, file, options);
}

function fromSettings(
  caller: string,
  env: Environment,
  file: ConfigFile | undefined,
  options: Omit<EnvironmentOptions, "env">,
): Client<"bearer"> {
  const baseUrl =
    setting(env, "STRAIT_BASE_URL") ??
    setting(env, "STRAIT_URL") ??
    named(file?.baseUrl, `sdk.base_url of ${file?.path}`);
  if (!baseUrl) {
    const orFile = file ? `, or sdk.base_url in ${file.path}` : "";
    throw new TypeError(`${caller}: STRAIT_BASE_URL is not set; set it in the environment of this process${orFile}`);
  }
  const token = setting(env, "STRAIT_API_KEY");
  if (!token) throw new TypeError(`${caller}: STRAIT_API_KEY is not set; set it in the environment of this process`);
  const timeout = setting(env, "STRAIT_TIMEOUT_MS");
  if (timeout && !/^\d+$/.test(timeout.value)) {
    throw new TypeError(`${caller}: STRAIT_TIMEOUT_MS must be a whole number of milliseconds`);
  }
  const timeoutMs =
    named(timeout ? Number(timeout.value) : undefined, "STRAIT_TIMEOUT_MS") ??
    named(file?.timeoutMs, `sdk.timeout_ms of ${file?.path}`);

  try {
    return createClient({
      ...(timeoutMs && { timeoutMs: timeoutMs.value }),
      ...options,
      baseUrl: baseUrl.value,
      auth: { type: "bearer", token: token.value },
    });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    // It speaks of options, which the caller has not written.
    const from = [
      `baseUrl is ${baseUrl.name}`,
      `auth.token is ${token.name}`,
      timeoutMs && `timeoutMs is ${timeoutMs.name}`,
    ];
    throw new TypeError(`${error.message} (${from.filter(Boolean).join(", ")})`);
  }
}

/** A value and where it is from. */
interface Setting<Value> {
  readonly name: string;
  readonly value: Value;
}

function setting(env: Environment, name: string): Setting<string> | undefined {
  return named(env[name]?.trim() || undefined, name);
}

function named<Value>(value: Value | undefined, name: string): Setting<Value> | undefined {
  return value === undefined ? undefined : { name, value };
}

/** What is used of Node, Bun or Deno. Declared here, since nothing else of this package is compiled with their types. */
interface Host {
  readonly env: Environment;
  getBuiltinModule(name: "node:fs"): { readFileSync(path: string, encoding: "utf8"): string };
}

function host(): Host {
  const { process } = globalThis as { readonly process?: Host };
  if (!process) throw new TypeError("@strait/ts/node is for Node.js, Bun and Deno; elsewhere use createClient");
  return process;
}
