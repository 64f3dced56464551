import { describe, expect, test } from "vitest";
import { createServer } from "../src/compose.ts";
import { readConfig } from "../src/config.ts";
import { createLog } from "../src/log.ts";
import { sql } from "../src/store/sql.ts";
import { startServer, type TestServer } from "./server.ts";
import { send, startStage } from "./stage.ts";
import { startWorkflowStage } from "./workflow-stage.ts";

const mint = (strait: TestServer, body: object, token?: string) =>
  strait.request("POST", "/v1/stream-tokens", { body, ...(token === undefined ? {} : { token }) });

/** The status of a stream that is opened by nothing but its address; its body is left. */
async function opens(strait: TestServer, url: string): Promise<number> {
  const response = await strait.fetch("GET", url, { token: null });
  await response.body?.cancel();
  return response.status;
}

async function refusal(strait: TestServer, url: string) {
  const { status, body } = await strait.request("GET", url, { token: null });
  return [status, body.error.code, body.error.message];
}

async function keyWith(strait: TestServer, scopes: string[]): Promise<string> {
  return (await strait.request("POST", "/v1/api-keys", { body: { name: "A", scopes } })).body.key;
}

describe("a stream token", () => {
  test("T6 ST-17 opens the stream of its event key by the query alone, and nothing else", async () => {
    const strait = await startServer();
    const stage = await startStage(strait);
    await stage.parked("aml:user-456");
    await stage.parked("other");

    const { status, body } = await mint(strait, { event_key: "aml:user-456" });

    expect(status).toBe(201);
    expect(body.url).toBe(`/v1/events/aml%3Auser-456/stream?token=${body.token}`);
    expect(await opens(strait, body.url)).toBe(200);
    expect(await opens(strait, `/v1/events/aml:user-456/stream?token=${body.token}`)).toBe(200);
    expect(await refusal(strait, `/v1/events/other/stream?token=${body.token}`)).toEqual([
      403,
      "forbidden",
      'the token is for the stream of "aml:user-456"; ask for one for this stream',
    ]);
    const asKey = { token: body.token };
    expect((await strait.request("GET", "/v1/events/aml:user-456", asKey)).status).toBe(401);
    expect((await strait.request("GET", "/v1/events/aml:user-456/stream", asKey)).status).toBe(401);
    expect((await strait.request("POST", "/v1/events/aml:user-456/send", { ...asKey, body: {} })).status).toBe(401);
    expect((await strait.request("GET", `/v1/events/aml:user-456?token=${body.token}`, { token: null })).status).toBe(
      401,
    );
  });

  test("T6 opens the stream of one run or one workflow run, and no other kind's", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const steps = [{ step_ref: "rest", type: "sleep", sleep_duration: "1h" }];
    const workflows = await startWorkflowStage(strait, steps);
    const [one, other] = [await workflows.trigger(), await workflows.trigger()];

    const forRun = (await mint(strait, { run_id: run.id })).body;
    const forWorkflowRun = (await mint(strait, { workflow_run_id: one.id })).body;

    expect([await opens(strait, forRun.url), await opens(strait, forWorkflowRun.url)]).toEqual([200, 200]);
    for (const path of [`/v1/workflow-runs/${other.id}`, `/v1/runs/${run.id}`, `/v1/runs/${one.id}`]) {
      expect(await opens(strait, `${path}/stream?token=${forWorkflowRun.token}`)).toBe(403);
    }
  });

  test("T6 names a key in whichever form it was written", async () => {
    const strait = await startServer();
    await (await startStage(strait)).parked("caf\u00e9");

    const { body } = await mint(strait, { event_key: "cafe\u0301" });

    expect(await opens(strait, body.url)).toBe(200);
    expect(await opens(strait, `/v1/events/cafe\u0301/stream?token=${body.token}`)).toBe(200);
  });

  test("T6 lives for five minutes, or for as long as was asked, and says when it is over", async () => {
    const strait = await startServer();
    await (await startStage(strait)).parked("k");
    const byDefault = (await mint(strait, { event_key: "k" })).body;
    const short = (await mint(strait, { event_key: "k", expires_in_secs: 60 })).body;
    const mintedAt = strait.server.context.clock.nowMs();

    await strait.advance(61_000);
    const after = [await opens(strait, byDefault.url), await opens(strait, short.url)];
    await strait.advance(240_000);

    expect(Math.abs(Date.parse(byDefault.expires_at) - mintedAt - 300_000)).toBeLessThan(5_000);
    expect(byDefault.expires_at).toMatch(/\.000000Z$/);
    expect(after).toEqual([200, 401]);
    expect(await refusal(strait, byDefault.url)).toEqual([
      401,
      "token_expired",
      expect.stringMatching(/^the token expired at .*ask for a new one$/),
    ]);
  });

  test("T6 is 401 when it was tampered with, or is a token of another kind", async () => {
    const strait = await startServer();
    const run = await (await startStage(strait)).run();
    const { token } = (await mint(strait, { run_id: run.id })).body;
    const [header, claims, signature] = token.split(".");
    const forged = JSON.stringify({ ...JSON.parse(Buffer.from(claims, "base64url").toString()), pid: "proj_other" });

    const wrong = [
      `${header}.${Buffer.from(forged).toString("base64url")}.${signature}`,
      `${header}.${claims}.`,
      `${header}.${claims}`,
      run.token,
      "a.b.c",
    ];

    for (const candidate of wrong)
      expect(await opens(strait, `/v1/runs/${run.id}/stream?token=${candidate}`)).toBe(401);
    const dispatched = { token, body: { message: "m" } };
    expect((await strait.request("POST", `/sdk/v1/runs/${run.id}/log`, dispatched)).status).toBe(401);
  });

  test("needs the scope of its stream, and something that is there in this project", async () => {
    const strait = await startServer();
    await (await startStage(strait)).parked("k");
    const reader = await keyWith(strait, ["events:read"]);
    const writer = await keyWith(strait, ["events:write", "runs:read"]);
    const { apiKey: stranger } = await strait.anotherProject();

    expect((await mint(strait, { event_key: "k" }, reader)).status).toBe(201);
    const refused = await mint(strait, { event_key: "k" }, writer);
    expect([refused.status, refused.body.error.details]).toEqual([403, { scope: "events:read" }]);
    expect((await mint(strait, { event_key: "k" }, stranger)).status).toBe(404);
    expect((await mint(strait, { event_key: "nobody" })).status).toBe(404);
    expect((await mint(strait, { run_id: "run_nobody" })).status).toBe(404);
    expect((await mint(strait, { workflow_run_id: "wfr_nobody" })).status).toBe(404);
  });

  test.each([
    [{}, "", "oneOf"],
    [{ expires_in_secs: 60 }, "", "oneOf"],
    [{ event_key: "k", run_id: "run_1" }, "/run_id", "oneOf"],
    [{ event_key: "k", expires_in_secs: 3601 }, "/expires_in_secs", "maximum"],
    [{ event_key: "." }, "/event_key", "not"],
  ])("is refused for %j", async (body, field, rule) => {
    const strait = await startServer({ runsEngine: false });

    const answer = await mint(strait, body);

    expect(answer).toMatchObject({ status: 400, body: { error: { details: { issues: [{ field, rule }] } } } });
  });

  test("T6 is the same again for the same idempotency key, and stored only encrypted", async () => {
    const strait = await startServer();
    await (await startStage(strait)).parked("k");
    const again = () =>
      strait.request("POST", "/v1/stream-tokens", { body: { event_key: "k" }, headers: { "idempotency-key": "once" } });

    const [first, second] = [await again(), await again()];

    const stored = await strait.db.query<{ response: string }>(sql`SELECT response FROM idempotency_keys`);
    expect(stored[0]?.response).toEqual(expect.any(String));
    expect(stored[0]?.response).not.toContain(first.body.token);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get("idempotency-replayed")).toBe("true");
  });
});

test("T6 no credential of a query comes into the log, also when its stream fails", async () => {
  const strait = await startServer();
  await (await startStage(strait)).parked("k");
  const { url, token } = (await mint(strait, { event_key: "k" })).body;
  const written: string[] = [];
  const config = readConfig({ NODE_ENV: "test", DATABASE_URL: strait.databaseUrl, LOG_LEVEL: "trace" });
  const server = await createServer({
    config,
    secrets: { internalSecret: "i", jwtSigningKey: strait.jwtSigningKey, developmentApiKey: undefined },
    databaseUrl: strait.databaseUrl,
    log: createLog(config, { write: (line) => void written.push(line) }),
    runsEngine: false,
  });
  const stream = await server.fetch(new Request(`http://test${url}`));
  await server.fetch(new Request(`http://test/v1/events/other/stream?token=${token}`));

  await send(strait, "k", 1);
  await stream.text();
  await server.close();
  await server.fetch(new Request(`http://test${url}`));

  expect(written.join("")).toContain("request failed");
  expect(written.join("")).not.toContain(token);
});
