import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { readConfig } from "../src/config.ts";
import { readSecrets } from "../src/secrets.ts";

async function projectFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "strait-secrets-"));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

describe("the secrets", () => {
  test("are made up once in development, and kept where only their owner can read them", async () => {
    const folder = await projectFolder();

    const all = await Promise.all(Array.from({ length: 5 }, () => readSecrets(readConfig({}, folder))));

    expect(new Set(all.map((secrets) => JSON.stringify(secrets))).size).toBe(1);
    expect(all[0]).toEqual({
      internalSecret: expect.stringMatching(/^[0-9a-f]{64}$/),
      jwtSigningKey: expect.stringMatching(/^[0-9a-f]{64}$/),
      developmentApiKey: expect.stringMatching(/^strait_[0-9a-f]{64}$/),
    });
    expect((await stat(join(folder, ".strait", "dev.json"))).mode & 0o777).toBe(0o600);
  });

  test("are those of the environment where it has some", async () => {
    const folder = await projectFolder();
    const made = await readSecrets(readConfig({}, folder));

    const given = await readSecrets(readConfig({ INTERNAL_SECRET: "0123456789abcdef" }, folder));

    expect(given).toEqual({ ...made, internalSecret: "0123456789abcdef" });
  });

  test("are never made up in production", async () => {
    const env = {
      DATABASE_URL: "postgresql://db/strait",
      INTERNAL_SECRET: "0123456789abcdef",
      JWT_SIGNING_KEY: "0123456789abcdef0123456789abcdef",
    };

    expect(await readSecrets(readConfig(env, "/nowhere"))).toEqual({
      internalSecret: env.INTERNAL_SECRET,
      jwtSigningKey: env.JWT_SIGNING_KEY,
      developmentApiKey: undefined,
    });
  });

  test("are hidden again when somebody made their file readable", async () => {
    const folder = await projectFolder();
    const file = join(folder, ".strait", "dev.json");
    await readSecrets(readConfig({}, folder));
    await chmod(file, 0o644);

    await readSecrets(readConfig({}, folder));

    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  test.each(["", "{", "null", "{}", '{ "api_key": 7 }'])("are not guessed from a damaged file: %o", async (text) => {
    const folder = await projectFolder();
    const file = join(folder, ".strait", "dev.json");
    await readSecrets(readConfig({}, folder));
    await writeFile(file, text);

    await expect(readSecrets(readConfig({}, folder))).rejects.toThrow(`${file} is damaged; remove it`);
    expect(await readFile(file, "utf8")).toBe(text);
  });

  test("are refused with the way out where they cannot be kept", async () => {
    const folder = await projectFolder();
    await writeFile(join(folder, "file"), "");

    await expect(readSecrets(readConfig({ STRAIT_DATA_DIR: "file" }, folder))).rejects.toThrow(
      /^Cannot keep the development secrets in .*\. Set STRAIT_DATA_DIR to a folder of yours\.$/,
    );
  });
});
