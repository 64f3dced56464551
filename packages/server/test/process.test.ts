import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { describe, expect, inject, onTestFinished, test } from "vitest";
import { openSession } from "../src/store/session.ts";
import { emptyDatabase, freshDatabase } from "./database.ts";
import { dataFolder, runToEnd, startProcess } from "./server-process.ts";

const TEST_LIMIT_MS = 60_000;

const SECRETS = {
  INTERNAL_SECRET: "internal-secret-of-the-tests",
  JWT_SIGNING_KEY: "signing-key-of-the-tests-0123456789",
};

const hasCurl = spawnSync("curl", ["--version"]).status === 0;

/** Something else on a port of this machine, which never answers. */
async function occupy(): Promise<{ server: Server; port: number }> {
  const server = createServer((socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => void server.close());
  const address = server.address();
  return { server, port: typeof address === "object" && address !== null ? address.port : 0 };
}

/** The URL of the test database's server with other parts. */
function urlWith(parts: Partial<Pick<URL, "username" | "password" | "port" | "hostname" | "pathname">>): string {
  return Object.assign(new URL(inject("testDatabase").url), parts).href;
}

async function execute(url: string, text: string): Promise<void> {
  const session = await openSession(url, "test");
  await session.query({ text, values: [] }).finally(() => session.close());
}

/** What keeps the server from starting, and what it says about it. */
const obstacles: readonly [title: string, given: () => Promise<Record<string, string>>, says: RegExp][] = [
  [
    "a taken port",
    async () => ({ DATABASE_URL: (await freshDatabase()).url, PORT: String((await occupy()).port) }),
    /^Port \d+ on 127\.0\.0\.1 is taken; stop what uses it, or set PORT to another one \(0 takes any that is free\)\.$/,
  ],
  [
    "an address that is not this machine's",
    async () => ({ DATABASE_URL: (await freshDatabase()).url, HOST: "192.0.2.1" }),
    /^Cannot listen on 192\.0\.2\.1:0 \(EADDRNOTAVAIL\); set HOST and PORT to an address of this machine that you may use\.$/,
  ],
  [
    "a database that is not there",
    async () => {
      const { server, port } = await occupy();
      server.close();
      return { DATABASE_URL: urlWith({ port: String(port) }) };
    },
    /^No PostgreSQL answers at 127\.0\.0\.1:\d+; start it, correct DATABASE_URL, or unset DATABASE_URL to use the embedded one\.$/,
  ],
  [
    "a host that nobody knows",
    async () => ({ DATABASE_URL: urlWith({ hostname: "database.invalid" }) }),
    /^The database host database\.invalid:\d+ is not known; correct the host in DATABASE_URL\.$/,
  ],
  [
    "a wrong password",
    async () => ({ DATABASE_URL: urlWith({ password: "hunter2" }) }),
    /^The database at \S+ refuses this user or password; correct them in DATABASE_URL\.$/,
  ],
  [
    "a database that does not exist",
    async () => ({ DATABASE_URL: urlWith({ pathname: "/nowhere" }) }),
    /^There is no database "nowhere" at \S+; create it, or correct the name in DATABASE_URL\.$/,
  ],
  [
    "a database that a newer version has migrated",
    async () => {
      const { url } = await freshDatabase();
      await execute(url, "INSERT INTO strait_migrations (name, run_on) VALUES ('9999_from_the_future', now())");
      return { DATABASE_URL: url };
    },
    /^The database has migration 9999_from_the_future, which this version does not know; start the version that made it, or a newer one\.$/,
  ],
  [
    "a database in which it may make nothing",
    async () => {
      const { url, name } = await emptyDatabase();
      await execute(url, `CREATE ROLE ${name} LOGIN PASSWORD 'reader'`);
      onTestFinished(() => execute(inject("testDatabase").url, `DROP ROLE ${name}`));
      return { DATABASE_URL: Object.assign(new URL(url), { username: name, password: "reader" }).href };
    },
    /^Migration 0001_\w+ failed.*: permission denied for schema public; let the user of DATABASE_URL make tables there\. Nothing of it was applied\.$/,
  ],
  [
    "a variable that is not a number",
    async () => ({ PORT: "eighty" }),
    /^PORT is "eighty"; set it to a whole number .+\.$/,
  ],
  [
    "a variable that is not a duration",
    async () => ({ LEASE_DURATION: "soon" }),
    /^LEASE_DURATION is "soon"; set it to a duration .+\.$/,
  ],
  [
    "production without a database",
    async () => ({ NODE_ENV: "production", ...SECRETS }),
    /^DATABASE_URL is not set, and production needs it; set it to a PostgreSQL, or set NODE_ENV=development .+\.$/,
  ],
  [
    "production without a secret",
    async () => ({ NODE_ENV: "production", DATABASE_URL: urlWith({}), ...SECRETS, INTERNAL_SECRET: "" }),
    /^INTERNAL_SECRET is not set, and production needs it; set it to what `openssl rand -hex 32` prints\.$/,
  ],
  [
    "a data folder that is a file",
    async () => {
      const file = join(await dataFolder(), "file");
      await writeFile(file, "");
      return { STRAIT_DATA_DIR: file };
    },
    /^Cannot make the folder \S+ for the embedded database: .+\. Set STRAIT_DATA_DIR to a folder of yours\.$/,
  ],
  [
    "a data folder that the system will not have made",
    async () => ({ STRAIT_DATA_DIR: "/proc/strait" }),
    /^Cannot make the folder \/proc\/strait\/postgres for the embedded database: ENOENT.+\. Set STRAIT_DATA_DIR to a folder of yours\.$/,
  ],
  [
    "a folder for its secrets that the system will not have made",
    async () => ({ STRAIT_DATA_DIR: "/proc/strait", DATABASE_URL: (await freshDatabase()).url }),
    /^Cannot keep the development secrets in \/proc\/strait\/dev\.json: ENOENT.+\. Set STRAIT_DATA_DIR to a folder of yours\.$/,
  ],
];

describe("a server that cannot start", { timeout: TEST_LIMIT_MS }, () => {
  test.each(obstacles)("because of %s says so in one sentence, and what to do", async (_, given, says) => {
    const env = { NODE_ENV: "test", STRAIT_DATA_DIR: await dataFolder(), ...(await given()) };

    const { code, stdout, stderr } = await runToEnd(env);

    expect(stderr.trimEnd()).toMatch(says);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).not.toContain("hunter2");
  });

  test("names every variable that is wrong, a line for each", async () => {
    const { code, stderr } = await runToEnd({ NODE_ENV: "production", PORT: "-1", MODE: "some" });

    expect(code).toBe(1);
    expect(
      stderr
        .trimEnd()
        .split("\n")
        .map((line) => line.split(" ")[0]),
    ).toEqual(["MODE", "PORT", "INTERNAL_SECRET", "JWT_SIGNING_KEY", "DATABASE_URL"]);
  });
});

describe("a server that starts", { timeout: TEST_LIMIT_MS }, () => {
  test("brings an empty database up to date", async () => {
    const { url } = await emptyDatabase();

    const strait = await startProcess({ NODE_ENV: "test", DATABASE_URL: url, STRAIT_DATA_DIR: await dataFolder() });

    expect((await strait.request("GET", "/health/ready", { token: null })).body).toMatchObject({ status: "up" });
  });

  test.skipIf(!hasCurl)("prints its URL, a key, and three commands that work as they are printed", async () => {
    const strait = await startProcess({ STRAIT_DATA_DIR: await dataFolder() });

    const commands = strait.stdout.match(/^ {4}curl (?:.*\\\n)*.*$/gm) ?? [];
    const answers = [];
    for (const command of commands) {
      const { stdout } = await promisify(execFile)("sh", ["-c", command]);
      answers.push(JSON.parse(stdout));
    }

    expect(strait.stdout).toMatch(/^listening on http:\/\/127\.0\.0\.1:\d+$/m);
    expect(strait.stdout).toContain(`Strait is ready at ${strait.url}\n`);
    expect(answers).toMatchObject([
      { data: [], has_more: false },
      { status: "buffered", event_key: "hello:world" },
      { data: [], has_more: false },
    ]);
  });

  test("prints a URL that can be used when it listens on an IPv6 address, and where its data is", async () => {
    const folder = await dataFolder();
    const env = { NODE_ENV: "test", STRAIT_DATA_DIR: folder, DATABASE_URL: (await freshDatabase()).url, HOST: "::1" };

    const server = await startProcess(env);

    expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
    expect((await server.request("GET", "/health")).status).toBe(200);
    expect(server.stdout).toContain(`Strait is ready at ${server.url}`);
    expect(server.stdout).toContain("The data stays in the database of DATABASE_URL for the next start.");
  });

  test("keeps its key and its data for the next start", async () => {
    const env = { STRAIT_DATA_DIR: await dataFolder() };
    const first = await startProcess(env);
    const body = { name: "Kept", slug: "kept", endpoint_url: "http://127.0.0.1:1/" };
    expect((await first.request("POST", "/v1/jobs", { body })).status).toBe(201);
    expect((await first.kill("SIGTERM")).code).toBe(0);

    const second = await startProcess(env);

    expect(second.apiKey).toBe(first.apiKey);
    expect((await second.request("GET", "/v1/jobs/kept")).body).toMatchObject(body);
  });
});
