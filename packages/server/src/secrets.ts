import { randomBytes } from "node:crypto";
import { chmod, link, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "./config.ts";
import { makeFolder } from "./make-folder.ts";
import { StartupError } from "./startup-error.ts";
import { API_KEY_PREFIX } from "./wire/credentials.ts";

/** What the server knows and nobody else may. */
export interface Secrets {
  readonly internalSecret: string;
  readonly jwtSigningKey: string;
  /** A key that a development server accepts from its first start; undefined in production. */
  readonly developmentApiKey: string | undefined;
}

/** `dev.json` */
interface DevelopmentFile {
  readonly internal_secret: string;
  readonly jwt_signing_key: string;
  readonly api_key: string;
}

/** The secrets of the configuration; in development, those that are not set are made up once and kept in `dev.json`. */
export async function readSecrets(config: Config): Promise<Secrets> {
  const { internalSecret, jwtSigningKey } = config.secrets;
  if (!config.development) {
    if (internalSecret === undefined || jwtSigningKey === undefined)
      throw new Error("readConfig let a missing secret pass");
    return { internalSecret, jwtSigningKey, developmentApiKey: undefined };
  }
  const kept = await readOrMake(config.files.dataDir);
  return {
    internalSecret: internalSecret ?? kept.internal_secret,
    jwtSigningKey: jwtSigningKey ?? kept.jwt_signing_key,
    developmentApiKey: kept.api_key,
  };
}

async function readOrMake(directory: string): Promise<DevelopmentFile> {
  const file = join(directory, "dev.json");
  try {
    return (await read(file)) ?? (await make(directory, file));
  } catch (error) {
    if (error instanceof StartupError) throw error;
    throw new StartupError(
      `Cannot keep the development secrets in ${file}: ${(error as Error).message}. Set STRAIT_DATA_DIR to a folder of yours.`,
      { cause: error },
    );
  }
}

async function read(file: string): Promise<DevelopmentFile | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  // A copy or an editor may have made it readable for all.
  await chmod(file, 0o600);
  try {
    const { internal_secret, jwt_signing_key, api_key } = JSON.parse(text) as Partial<DevelopmentFile>;
    if (internal_secret && jwt_signing_key && api_key) return { internal_secret, jwt_signing_key, api_key };
  } catch {
    // Said below.
  }
  throw new StartupError(`${file} is damaged; remove it, and new development secrets are made.`);
}

/** Written aside and linked, so that of several processes that start at once one wins and all read the same. */
async function make(directory: string, file: string): Promise<DevelopmentFile> {
  const content: DevelopmentFile = {
    internal_secret: randomBytes(32).toString("hex"),
    jwt_signing_key: randomBytes(32).toString("hex"),
    api_key: `${API_KEY_PREFIX}${randomBytes(32).toString("hex")}`,
  };
  await makeFolder(directory);
  const aside = `${file}.${process.pid}`;
  try {
    await writeFile(aside, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
    await link(aside, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== "EEXIST") throw error;
    });
  } finally {
    await rm(aside, { force: true });
  }
  return (await read(file)) ?? content;
}
