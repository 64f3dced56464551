import { createHmac } from "node:crypto";
import type { LookupFunction } from "node:net";
import { Webhook } from "standardwebhooks";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { openOutbound } from "../src/engine/outbound.ts";
import { sql } from "../src/store/sql.ts";
import { startEndpoint } from "./endpoint.ts";
import { givenJob, historyOf, landed, readRun, runIs, startQuiet, trigger } from "./given.ts";
import { type ExecutorAnswer, eventually, startExecutor, startServer, type TestServer } from "./server.ts";

vi.mock("node:dns", async (original) => {
  const dns = await original<typeof import("node:dns")>();
  const lookup: LookupFunction = (hostname, options, callback) => {
    if (!hostname.endsWith(".example.com")) return dns.lookup(hostname, options, callback);
    callback(null, [{ address: "127.0.0.1", family: 4 }]);
  };
  return { ...dns, lookup };
});

const NESTED = "[".repeat(20_000) + "]".repeat(20_000);

async function signingSecretOf(strait: TestServer): Promise<string> {
  const { body } = await strait.request("GET", `/v1/projects/${strait.projectId}`, {
    token: null,
    headers: { "x-internal-secret": strait.internalSecret },
  });
  return body.signing_secret;
}

describe("a dispatch", () => {
  test("carries the payload as its body, and says which run, job, attempt and dispatch it is", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: `${executor.url}/jobs/x?y=1` });

    const run = await trigger(strait, job, { payload: { z: 1, a: ["ü", null] } });

    const [dispatch] = await executor.received(1);
    expect(dispatch?.path).toBe("/jobs/x?y=1");
    expect(dispatch?.text).toBe('{"z":1,"a":["ü",null]}');
    expect(dispatch?.headers).toMatchObject({
      "content-type": "application/json",
      "x-run-id": run.id,
      "x-job-id": job,
      "x-attempt": "1",
      "x-dispatch": "1",
      "content-length": String(Buffer.byteLength(dispatch?.text ?? "")),
    });
    expect(Object.keys(dispatch?.headers ?? {})).not.toContain("x-previous-error");
  });

  test("has a token that speaks for the run", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(() => ({ status: 202 }));
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }), { payload: 7 });

    const [dispatch] = await executor.received(1);
    const asRun = { token: dispatch?.runToken ?? "" };

    expect((await strait.request("GET", `/sdk/v1/runs/${run.id}/payload`, asRun)).body).toBe(7);
    const other = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    expect((await strait.request("GET", `/sdk/v1/runs/${other.id}/payload`, asRun)).status).toBe(403);
  });

  test("is signed as Standard Webhooks and as X-Strait-Signature say", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor();
    const secret = await signingSecretOf(strait);

    await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }), { payload: { amount: "12 €" } });

    const [dispatch] = await executor.received(1);
    const headers = dispatch?.headers as Record<string, string>;
    expect(new Webhook(secret).verify(dispatch?.text ?? "", headers)).toEqual({ amount: "12 €" });
    expect(() => new Webhook(secret).verify(`${dispatch?.text} `, headers)).toThrow();
    const hmac = createHmac("sha256", Buffer.from(secret.replace("whsec_", ""), "base64"));
    const signed = hmac.update(`${headers["x-strait-timestamp"]}.${dispatch?.text}`).digest("hex");
    expect(headers["x-strait-signature"]).toBe(`v1=${signed}`);
  });
});

describe("an answer of 2xx", () => {
  test.each([
    ["JSON is the result", 200, '{"b":1,"a":2}', { b: 1, a: 2 }],
    ["what is not JSON is a string", 201, "done, thanks", "done, thanks"],
    ["an empty one is null", 204, "", null],
    ["what nests too deeply to be read again is a string", 200, NESTED, NESTED],
  ])("completes the run: %s", async (_, status, body, result) => {
    const strait = await startQuiet();
    const url = await startEndpoint((_request, response) => response.writeHead(status).end(body));

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: url }));

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ result, error: null, error_class: null });
  });

  test("larger than MAX_RESULT_SIZE fails the run, and is not read to its end", async () => {
    const strait = await startQuiet({ MAX_RESULT_SIZE: "1024" });
    let closed = false;
    const url = await startEndpoint((_request, response) => {
      response.on("close", () => {
        closed = true;
      });
      response.write("x".repeat(2_000));
    });

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: url }));

    const failed = await runIs(strait, run.id, "failed");
    expect(failed).toMatchObject({ error_class: "client", error: expect.stringContaining("MAX_RESULT_SIZE") });
    await eventually(async () => closed);
  });
});

describe("a body larger than MAX_RESULT_SIZE that is no result", () => {
  const startTalking = (status: number) =>
    startEndpoint((_request, response) => response.writeHead(status).write("x".repeat(2_000)));

  test("fails the attempt by its status, and tells how it begins", async () => {
    const strait = await startQuiet({ MAX_RESULT_SIZE: "1024" });
    const jobId = await givenJob(strait, { endpoint_url: await startTalking(503), max_attempts: 2 });

    const run = await trigger(strait, jobId);

    const failed = await runIs(strait, run.id, "queued");
    expect(failed).toMatchObject({ attempt: 2, error_class: "server", error: expect.stringContaining("503") });
  });

  test("is nothing to a run that goes on by itself", async () => {
    const strait = await startQuiet({ MAX_RESULT_SIZE: "1024" });
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: await startTalking(202) }));

    await eventually(async () => {
      const [row] = await strait.db.query<{ detached: boolean }>(sql`SELECT detached FROM runs WHERE id = ${run.id}`);
      return row?.detached;
    });

    expect((await strait.request("GET", `/v1/runs/${run.id}`)).body.status).toBe("executing");
  });
});

describe("a run that goes on by itself", () => {
  const watchOf = async (strait: TestServer, id: string) => {
    const [row] = await strait.db.query<{ detached: boolean; deadlines: number }>(sql`
      SELECT detached, (SELECT count(*)::int FROM run_deadlines WHERE run_id = r.id) AS deadlines
      FROM runs r WHERE id = ${id}`);
    return row;
  };

  test("has answered 202: from now on its deadline watches it, and its worker has room again", async () => {
    const strait = await startQuiet();
    const executor = await startExecutor(() => ({ status: 202 }));

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);
    await landed(strait);

    expect(await readRun(strait, run.id)).toMatchObject({ status: "executing", result: null });
    expect(await watchOf(strait, run.id)).toEqual({ detached: true, deadlines: 1 });
    const asRun = { token: run.token, body: { result: { ok: 1 } } };
    await strait.request("POST", `/sdk/v1/runs/${run.id}/complete`, asRun);
    expect(await readRun(strait, run.id)).toMatchObject({ status: "completed", result: { ok: 1 } });
  });

  test("or has sent a heartbeat, and may still answer the call", async () => {
    const strait = await startQuiet();
    let answer: (answer: ExecutorAnswer) => void = () => {};
    const answered = new Promise<ExecutorAnswer>((resolve) => {
      answer = resolve;
    });
    const executor = await startExecutor(() => answered);
    const run = await trigger(strait, await givenJob(strait, { endpoint_url: executor.url }));
    await executor.received(1);

    for (let n = 0; n < 2; n++) {
      const beat = await strait.request("POST", `/sdk/v1/runs/${run.id}/heartbeat`, { token: run.token, body: {} });
      expect(beat.body).toEqual({ status: "ok" });
    }
    expect(await watchOf(strait, run.id)).toEqual({ detached: true, deadlines: 1 });
    answer({ body: "late but fine" });

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ result: "late but fine" });
  });
});

describe("a dispatch that fails", () => {
  test.each([
    [429, "rate_limited", "queued"],
    [401, "auth", "failed"],
    [403, "auth", "failed"],
    [404, "client", "failed"],
    [500, "server", "queued"],
    [503, "server", "queued"],
  ])("with %i is of class %s, and the run is %s", async (status, error_class, then) => {
    const strait = await startQuiet();
    const url = await startEndpoint((_request, response) => response.writeHead(status).end("because\0of this"));

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: url }));

    const failed = await runIs(strait, run.id, then);
    expect(failed).toMatchObject({ error_class, error: `the endpoint answered ${status}: becauseof this` });
    expect(failed.attempt).toBe(then === "queued" ? 2 : 1);
  });

  test("with a redirect does not follow it", async () => {
    const strait = await startQuiet();
    const paths: string[] = [];
    const url = await startEndpoint((_request, response, path) => {
      paths.push(path);
      response.writeHead(307, { location: "/elsewhere" }).end();
    });

    const run = await trigger(strait, await givenJob(strait, { endpoint_url: url }));

    expect(await runIs(strait, run.id, "queued")).toMatchObject({ error_class: "unknown", attempt: 2 });
    expect(paths).toEqual(["/"]);
  });

  test("because nobody listens, or the connection breaks, is of class connection", async () => {
    const strait = await startQuiet();
    const breaking = await startEndpoint((request) => request.socket.destroy());

    const refused = await trigger(strait, await givenJob(strait));
    const broken = await trigger(strait, await givenJob(strait, { endpoint_url: breaking }));

    for (const { id } of [refused, broken]) {
      expect(await runIs(strait, id, "queued")).toMatchObject({ error_class: "connection", attempt: 2 });
    }
  });

  test("because no answer came within timeout_secs is of class timeout", async () => {
    const strait = await startQuiet();
    const silent = await startEndpoint(() => {});
    const halting = await startEndpoint((_request, response) => response.write("half"));

    const runs = [
      await trigger(strait, await givenJob(strait, { endpoint_url: silent, timeout_secs: 1 })),
      await trigger(strait, await givenJob(strait, { endpoint_url: halting, timeout_secs: 1 })),
    ];

    for (const { id } of runs) {
      expect(await runIs(strait, id, "queued")).toMatchObject({ error_class: "timeout", attempt: 2 });
    }
  });
});

describe("a fallback endpoint", () => {
  async function startBoth(primary: number, fallback: number) {
    const strait = await startQuiet();
    const executor = await startExecutor(({ path }) => ({
      status: path === "/primary" ? primary : fallback,
      body: path,
    }));
    const urls = { endpoint_url: `${executor.url}/primary`, fallback_endpoint_url: `${executor.url}/fallback` };
    const run = await trigger(strait, await givenJob(strait, urls));
    await landed(strait);
    return { run: await readRun(strait, run.id), paths: executor.dispatches.map(({ path }) => path) };
  }

  test("is called where the first could not answer, in the same attempt", async () => {
    const { run, paths } = await startBoth(429, 200);

    expect(run).toMatchObject({ status: "completed", attempt: 1, result: "/fallback" });
    expect(paths).toEqual(["/primary", "/fallback"]);
  });

  test("is not called when the first did answer, if only with an error of its own", async () => {
    const { run, paths } = await startBoth(500, 200);

    expect(run).toMatchObject({ status: "queued", attempt: 2, error_class: "server" });
    expect(paths).toEqual(["/primary"]);
  });

  test("that fails as well leaves the first failure standing", async () => {
    const { run, paths } = await startBoth(429, 404);

    expect(run).toMatchObject({ status: "queued", attempt: 2, error_class: "rate_limited" });
    expect(paths).toEqual(["/primary", "/fallback"]);
  });
});

describe("invariant 7: the number of a dispatch fences everything it does", () => {
  test("its late outcome changes nothing, and its calls are refused", async () => {
    const strait = await startQuiet();
    const answers: ((answer: ExecutorAnswer) => void)[] = [];
    const executor = await startExecutor(() => new Promise((resolve) => answers.push(resolve)));
    const job = await givenJob(strait, { endpoint_url: executor.url });
    const run = await trigger(strait, job);
    const [first] = await executor.received(1);
    await strait.db.query(sql`UPDATE leases SET expires_at = strait_now()`);
    const second = await startServer({ runsEngine: false, databaseUrl: strait.databaseUrl });
    onTestFinished(() => {
      for (const answer of answers) answer({ status: 202 });
    });
    await second.tick("rescue-runs");
    await second.tick("dispatch-runs");
    await executor.received(2);

    const call = (path: string, body: object) =>
      strait.request("POST", `/sdk/v1/runs/${run.id}/${path}`, { token: first?.runToken ?? "", body });
    for (const [path, body] of [
      ["complete", { result: "late" }],
      ["fail", { error: "late" }],
      ["heartbeat", {}],
      ["checkpoint", { state: 1 }],
      ["wait-for-event", { event_key: "late" }],
    ] as const) {
      expect(await call(path, body)).toMatchObject({ status: 409, body: { error: { code: "stale_dispatch" } } });
    }
    answers[0]?.({ body: "late" });
    await landed(strait);
    expect(await readRun(strait, run.id)).toMatchObject({ status: "executing", dispatch_seq: 2, attempt: 1 });
    answers[1]?.({ body: "in time" });

    expect(await runIs(strait, run.id, "completed")).toMatchObject({ result: "in time" });
    expect(await historyOf(strait, run.id)).toEqual(["executing", "queued", "executing", "completed"]);
    expect(await call("complete", {})).toMatchObject({ status: 409, body: { error: { code: "run_closed" } } });
  });
});

describe("without STRAIT_ALLOW_PRIVATE_ENDPOINTS", () => {
  const env = { STRAIT_ALLOW_PRIVATE_ENDPOINTS: "false" };

  test("a job may not name a private address, however it is spelled", async () => {
    const strait = await startQuiet(env);
    const hosts = ["127.0.0.1", "2130706433", "0x7f.1", "localhost:8080", "LOCALHOST.", "jobs.localhost", "10.1.2.3"];
    hosts.push("192.168.0.1", "169.254.169.254", "metadata.google.internal", "0.0.0.0");
    hosts.push("[::1]", "[::ffff:10.0.0.1]", "[::127.0.0.1]", "[4000::1]", "[fd00::1]");

    for (const host of hosts) {
      const job = { name: "j", slug: "j", endpoint_url: `http://${host}/` };
      const { status, body } = await strait.request("POST", "/v1/jobs", { body: job });
      const [issue] = body.error.details.issues;
      expect({ host, status, ...issue }).toMatchObject({ host, status: 400, rule: "publicAddress" });
    }
  });

  test("a job may name a public address of either kind", async () => {
    const strait = await startQuiet(env);

    for (const [n, host] of ["1.1.1.1", "[2606:4700::1111]", "[::ffff:1.1.1.1]"].entries()) {
      const job = { name: "j", slug: `j-${n}`, endpoint_url: `http://${host}/` };
      expect(await strait.request("POST", "/v1/jobs", { body: job })).toMatchObject({ status: 201 });
    }
  });

  test("an address that a job has all the same is not dialed", async () => {
    const strait = await startQuiet(env);
    const executor = await startExecutor();
    const job = await givenJob(strait, { endpoint_url: "https://executor.example.org/" });
    await strait.db.query(sql`UPDATE jobs SET endpoint_url = ${executor.url}`);

    const run = await trigger(strait, job);

    const failed = await runIs(strait, run.id, "queued");
    expect(failed).toMatchObject({ error: expect.stringContaining("private address"), attempt: 2 });
    expect(executor.dispatches).toEqual([]);
  });

  test("a name that resolves to a private address is not dialed", async () => {
    const executor = await startExecutor();
    const { port } = new URL(executor.url);
    const callOf = (host: string) => ({ url: `http://${host}:${port}/`, headers: {}, body: "1", timeoutMs: 5_000 });
    const [guarded, open] = [false, true].map((allowPrivate) =>
      openOutbound({ allowPrivate, maxResponseBytes: 1024, connections: 1 }),
    );
    onTestFinished(async () => {
      await Promise.all([guarded?.close(), open?.close()]);
    });

    for (const host of ["rebound.example.com", "localhost"]) {
      expect(await guarded?.post(callOf(host))).toMatchObject({ kind: "error", code: "EPRIVATE" });
    }
    expect(executor.dispatches).toEqual([]);
    expect(await open?.post(callOf("localhost"))).toMatchObject({ kind: "answer", status: 200 });
  });
});
