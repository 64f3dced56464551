/** What a `strait.json` says about the client. */
export interface ConfigFile {
  readonly path: string;
  readonly baseUrl: string | undefined;
  readonly timeoutMs: number | undefined;
}

const FIELDS = ["base_url", "timeout_ms", "auth_type"];

/**
 * Reads the section `sdk` of a `strait.json`. The others belong to other tools.
 *
 * @throws {TypeError} Naming the field and the fix. It never repeats a value, which may be a key at the wrong place.
 */
export function readConfigFile(
  path: string,
  { readFileSync }: { readFileSync(path: string, encoding: "utf8"): string },
): ConfigFile {
  const file = parse(path, read(path, readFileSync));
  if (!isRecord(file)) throw fault(path, 'must be an object, such as { "sdk": { "base_url": "https://strait.dev" } }');
  const { sdk = {} } = file;
  if (!isRecord(sdk)) throw fault(path, 'sdk must be an object, such as { "base_url": "https://strait.dev" }');
  for (const name of Object.keys(sdk)) {
    if (FIELDS.includes(name)) continue;
    if (/key|token|secret/i.test(name)) {
      throw fault(path, `sdk.${name} does not belong into a file; set STRAIT_API_KEY in the environment instead`);
    }
    throw fault(path, `sdk.${name} is not a field; there are ${FIELDS.join(", ")}`);
  }
  const { base_url: baseUrl, timeout_ms: timeoutMs, auth_type: authType } = sdk;
  if (baseUrl !== undefined && typeof baseUrl !== "string") throw fault(path, "sdk.base_url must be a string");
  if (timeoutMs !== undefined && !(Number.isSafeInteger(timeoutMs) && Number(timeoutMs) > 0)) {
    throw fault(path, "sdk.timeout_ms must be a whole number of milliseconds, 1 or more");
  }
  if (authType !== undefined && authType !== "bearer" && authType !== "apiKey") {
    throw fault(path, 'sdk.auth_type must be "bearer" or "apiKey", which mean the same; for a run, use createClient');
  }
  return { path, baseUrl, timeoutMs: timeoutMs === undefined ? undefined : Number(timeoutMs) };
}

function read(path: string, readFileSync: (path: string, encoding: "utf8") => string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = isRecord(error) ? error.code : undefined;
    if (code !== "ENOENT") throw fault(path, `cannot be read (${code ?? String(error)})`);
    throw fault(path, "does not exist in the working directory; pass its path, or use createClientFromEnv");
  }
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's message is not passed on, since it quotes the file.
    throw fault(path, "is not JSON; look for a missing quote, a comment or a comma too many");
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function fault(path: string, wrong: string): TypeError {
  return new TypeError(`${path}: ${wrong}`);
}
