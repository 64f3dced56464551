import { errorStatus, examples, type OperationId, operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { contentsOf } from "./contents.ts";
import { type ExampleWorld, examplePath, operationIds, startExampleWorld, takesAnyKey } from "./example-world.ts";
import { type Answer, type RequestOptions, startServer, type TestServer } from "./server.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const is = (code: keyof typeof errorStatus, message?: RegExp) => ({
  status: errorStatus[code],
  body: { error: { code, ...(message === undefined ? {} : { message: expect.stringMatching(message) }) } },
});

/** Sends an operation's example with other credentials, or to another object. */
function send(world: TestServer, id: OperationId, options: RequestOptions, path = examplePath(id)): Promise<Answer> {
  const { body } = examples[id].request;
  return world.request(operations[id].method, path, { ...(body === undefined ? {} : { body }), ...options });
}

const taking = (credential: "bearer" | "runToken" | "internalSecret" | undefined) =>
  operationIds.filter((id) => {
    const auth: readonly string[] = operations[id].auth;
    return credential === undefined ? auth.length === 0 : auth.includes(credential);
  });
const onlyInternal = taking("internalSecret").filter((id) => !taking("bearer").includes(id));

describe("credentials that are not valid", () => {
  test("are 401 on every operation, say nothing about why, and change nothing", async () => {
    const world = await startExampleWorld();
    const before = await contentsOf(world.db);
    const credentials: Record<string, RequestOptions> = {
      none: { token: null },
      "an unknown key": { token: `strait_${"0".repeat(64)}` },
      "half a key": { token: world.apiKey.slice(0, -1) },
      "another scheme": { token: null, headers: { authorization: `Basic ${world.apiKey}` } },
      "no scheme": { token: null, headers: { authorization: world.apiKey } },
      "two keys": { token: null, headers: { authorization: `Bearer ${world.apiKey}, Bearer ${world.apiKey}` } },
      "a wrong secret": { token: null, headers: { "x-internal-secret": "no", "x-project-id": world.projectId } },
    };

    for (const id of operationIds.filter((candidate) => operations[candidate].auth.length > 0)) {
      for (const [what, options] of Object.entries(credentials)) {
        const { status, body, headers } = await send(world, id, options);
        expect.soft([status, body.error.code], `${id}: ${what}`).toEqual([401, "unauthorized"]);
        expect.soft(headers.get("www-authenticate")).toBe("Bearer");
        expect.soft(JSON.stringify(body)).not.toContain(world.apiKey);
      }
    }

    expect(await contentsOf(world.db)).toEqual(before);
  });

  test("are of no interest to the probes", async () => {
    const world = await startExampleWorld();

    const statuses = taking(undefined).map(async (id) => (await send(world, id, { token: "nonsense" })).status);

    expect(await Promise.all(statuses)).toEqual([200, 200]);
  });
});

describe("an API key", () => {
  async function newKey(strait: TestServer, options: object = {}): Promise<{ id: string; key: string }> {
    const created = await strait.request("POST", "/v1/api-keys", { body: { name: "A", scopes: ["*"], ...options } });
    expect(created.status).toBe(201);
    return created.body;
  }
  const use = async (strait: TestServer, token: string) => (await strait.request("GET", "/v1/jobs", { token })).status;

  test("stops at once when it is revoked, also where it was just used", async () => {
    const strait = await startServer({ runsEngine: false });
    const { id, key } = await newKey(strait);
    const before = await use(strait, key);

    await strait.request("DELETE", `/v1/api-keys/${id}`);

    expect([before, await use(strait, key)]).toEqual([200, 401]);
  });

  test("stops when it expires", async () => {
    const strait = await startServer({ runsEngine: false });
    const { key } = await newKey(strait, { expires_in_days: 2 });

    await strait.advance(DAY);
    const inTime = await use(strait, key);
    await strait.advance(DAY);
    const other = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });

    expect([inTime, await use(other, key)]).toEqual([200, 401]);
  });

  test("works on for the grace period after its rotation, and no longer", async () => {
    const strait = await startServer({ runsEngine: false });
    const { id, key } = await newKey(strait);

    const rotated = await strait.request("POST", `/v1/api-keys/${id}/rotate`, { body: { grace_period_minutes: 30 } });
    await strait.advance(29 * 60_000);
    const inGrace = await use(strait, key);
    await strait.advance(60_000);
    const other = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });

    expect([inGrace, await use(other, key)]).toEqual([200, 401]);
    expect(await use(other, rotated.body.key)).toBe(200);
  });

  test("is not accepted where a run token, the internal secret or another scope is asked for", async () => {
    const world = await startExampleWorld();
    const { apiKey: token } = world;
    const limited = await world.keyWith(["events:write"]);

    for (const id of [...taking("runToken"), ...onlyInternal]) {
      expect.soft(await send(world, id, { token }), id).toMatchObject(is("unauthorized"));
    }
    // One without a scope asks for that of what it is about.
    const needsAnother = (id: OperationId) => ![null, "events:write"].includes(operations[id].scope);
    for (const id of taking("bearer").filter(needsAnother)) {
      const answer = await send(world, id, { token: limited });
      expect.soft(answer, id).toMatchObject(is("forbidden", new RegExp(`"${operations[id].scope}"`)));
      expect.soft(answer.body.error.details, id).toEqual({ scope: operations[id].scope });
    }
    expect(await send(world, "postV1EventsByEventKeySend", { token: limited })).toMatchObject({ status: 200 });
  });
});

describe("a run token", () => {
  const tampered = (token: string) => {
    const [header, body = "", signature] = token.split(".");
    const claims = JSON.parse(Buffer.from(body, "base64url").toString());
    return [header, Buffer.from(JSON.stringify({ ...claims, seq: 2 })).toString("base64url"), signature].join(".");
  };
  const unsigned = (token: string) =>
    `${Buffer.from('{"alg":"none","typ":"JWT"}').toString("base64url")}.${token.split(".")[1]}.`;

  test.each([
    ["of another run", (world) => world.signRunToken({ runId: "run_01k0000000e00800000000wa1t" }), "forbidden"],
    ["that has expired", (world) => world.signRunToken({}, -1), "token_expired"],
    ["that somebody has changed", (world) => tampered(world.runToken), "unauthorized"],
    ["without a signature", (world) => unsigned(world.runToken), "unauthorized"],
    ["that is cut off", (world) => world.runToken.slice(0, -2), "unauthorized"],
  ] as [string, (world: ExampleWorld) => string, "unauthorized" | "forbidden" | "token_expired"][])(
    "%s is refused on every call, and changes nothing",
    async (_, tokenOf, code) => {
      const world = await startExampleWorld();
      const before = await contentsOf(world.db);
      const token = tokenOf(world);

      for (const id of taking("runToken")) expect.soft(await send(world, id, { token }), id).toMatchObject(is(code));

      expect(await contentsOf(world.db)).toEqual(before);
    },
  );

  test("of an earlier dispatch is 409 on every call that writes", async () => {
    const world = await startExampleWorld();
    await world.db.query({ text: "UPDATE runs SET dispatch_seq = 2 WHERE id = $1", values: [world.runId] });
    const before = await contentsOf(world.db);

    for (const id of taking("runToken").filter((candidate) => operations[candidate].method !== "GET")) {
      expect.soft(await send(world, id, { token: world.runToken }), id).toMatchObject(is("stale_dispatch"));
    }

    expect(await contentsOf(world.db)).toEqual(before);
  });

  test("is not accepted outside of the SDK", async () => {
    const world = await startExampleWorld();

    for (const id of [...taking("bearer"), ...onlyInternal]) {
      expect.soft(await send(world, id, { token: world.runToken }), id).toMatchObject(is("unauthorized"));
    }
  });
});

describe("the internal secret", () => {
  const secretOf = (world: TestServer, headers: Record<string, string> = {}): RequestOptions => ({
    token: null,
    headers: { "x-internal-secret": world.internalSecret, ...headers },
  });

  test("speaks for the project that X-Project-Id names", async () => {
    const world = await startExampleWorld();

    const named = await send(world, "getV1Jobs", secretOf(world, { "x-project-id": world.projectId }));
    const unnamed = await send(world, "getV1Jobs", secretOf(world));
    const unknown = await send(world, "getV1Jobs", secretOf(world, { "x-project-id": "proj_nobody" }));

    expect([named.status, named.body.data.length]).toEqual([200, 4]);
    expect(unnamed).toMatchObject(is("unauthorized", /X-Project-Id/));
    expect(unknown).toMatchObject(is("not_found", /^there is no project "proj_nobody"; check the id/));
  });

  test("is what projects ask for, and runs do not accept", async () => {
    const world = await startExampleWorld();

    for (const id of onlyInternal) {
      expect.soft(operations[id].success, id).toContain((await send(world, id, secretOf(world))).status);
    }
    for (const id of taking("runToken")) {
      const answer = await send(world, id, secretOf(world, { "x-project-id": world.projectId }));
      expect.soft(answer, id).toMatchObject(is("unauthorized"));
    }
  });
});

describe("an object of another project", () => {
  const withId = taking("bearer").filter((id) => operations[id].path.includes("{"));
  test("is 404 on every operation that takes an id, and is not changed", async () => {
    const world = await startExampleWorld();
    const stranger = await world.anotherProject();
    const before = await contentsOf(world.db);

    for (const id of withId.filter((candidate) => !takesAnyKey.has(candidate))) {
      expect.soft(await send(world, id, { token: stranger.apiKey }), id).toMatchObject(is("not_found"));
    }

    expect(await contentsOf(world.db)).toEqual(before);
  });

  test("is not in any list, nor is an event for its key delivered", async () => {
    const world = await startExampleWorld();
    const stranger = await world.anotherProject();

    for (const id of taking("bearer").filter(
      (candidate) => operations[candidate].paginated && !withId.includes(candidate),
    )) {
      const { body } = await send(world, id, { token: stranger.apiKey });
      const foreign = body.data.filter((row: { project_id: string }) => row.project_id !== stranger.projectId);
      expect.soft(foreign, id).toEqual([]);
    }
    const sent = await send(world, "postV1EventsByEventKeySend", { token: stranger.apiKey });
    const byPrefix = await send(world, "postV1EventsPrefixByPrefixSend", { token: stranger.apiKey });
    const trigger = await send(world, "getV1EventsByEventKey", { token: world.apiKey });

    expect([sent.status, byPrefix.body.resolved, trigger.body.status]).toEqual([202, 0, "waiting"]);
  });

  test("is not told of by what is known of its key", async () => {
    const world = await startExampleWorld();
    const stranger = await world.anotherProject();

    const sends = await send(world, "getV1EventsByEventKeySends", { token: stranger.apiKey });
    const explained = await send(world, "getV1EventsByEventKeyExplain", { token: stranger.apiKey });

    expect(sends.body.data).toEqual([]);
    expect(explained.status).toBe(200);
    expect(JSON.stringify(explained.body)).not.toContain(world.projectId);
  });

  test("is not reached by a run token that names it", async () => {
    const world = await startExampleWorld();
    const stranger = await world.anotherProject();
    const token = world.signRunToken({ projectId: stranger.projectId });
    const before = await contentsOf(world.db);

    for (const id of taking("runToken")) {
      const { status } = await send(world, id, { token });
      expect.soft(status, id).toBe(id === "getSdkV1RunsByRunIDState" ? 200 : 404);
    }

    expect(await contentsOf(world.db)).toEqual(before);
  });
});

describe("a token in the URL", () => {
  const streams = operationIds.filter((id) => operations[id].media === "sse");

  test.each(streams)("opens the stream %s, unless there is a header", async (id) => {
    const world = await startExampleWorld();
    const withToken = (token: string) => `${examplePath(id)}${examplePath(id).includes("?") ? "&" : "?"}token=${token}`;
    const path = withToken(world.apiKey);

    const opened = await world.fetch("GET", path, { token: null });
    await opened.body?.cancel();
    const wrong = await world.fetch("GET", withToken("nonsense"), { token: null });
    const overruled = await world.fetch("GET", path, { token: null, headers: { authorization: "Basic nonsense" } });

    expect([opened.status, wrong.status, overruled.status]).toEqual([200, 401, 401]);
  });

  test("is not accepted by anything else", async () => {
    const world = await startExampleWorld();

    for (const id of taking("bearer").filter((candidate) => !streams.includes(candidate))) {
      const path = examplePath(id);
      const answer = await send(
        world,
        id,
        { token: null },
        `${path}${path.includes("?") ? "&" : "?"}token=${world.apiKey}`,
      );
      expect.soft(answer, id).toMatchObject(is("unauthorized"));
    }
  });
});
