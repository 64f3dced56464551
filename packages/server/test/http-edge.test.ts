import { once } from "node:events";
import { connect } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { createNodeServer } from "../src/http/node-server.ts";
import { givenJob } from "./given.ts";
import { listening } from "./listening.ts";
import { startServer } from "./server.ts";

/** Everything that is answered to these bytes until the connection ends. */
async function say(
  port: number,
  text: string,
): Promise<{ said: string; status: number; headers: string; body: string }> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.setEncoding("utf8");
  let answer = "";
  socket.on("data", (chunk: string) => {
    answer += chunk;
  });
  socket.write(text);
  await once(socket, "end");
  const [headers = "", body = ""] = answer.split("\r\n\r\n");
  return { said: answer, status: Number(headers.split(" ")[1]), headers: headers.toLowerCase(), body };
}

const POST = "POST /v1/jobs HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-type: application/json\r\n";

describe("a request that Node's parser refuses gets the error envelope", () => {
  test.each([
    ["a request line that is none", "HELLO\r\n\r\n", 400, "validation_error"],
    ["no host", "GET /health HTTP/1.1\r\nconnection: close\r\n\r\n", 400, "validation_error"],
    ["a host that is none", "GET /health HTTP/1.1\r\nhost: a b\r\nconnection: close\r\n\r\n", 400, "validation_error"],
    [
      "two hosts",
      "GET /health HTTP/1.1\r\nhost: test\r\nHOST: other\r\nconnection: close\r\n\r\n",
      400,
      "validation_error",
    ],
    ["one host twice", `${POST}host: test\r\ncontent-length: 2\r\n\r\n{}`, 400, "validation_error"],
    ["two lengths", `${POST}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n`, 400, "validation_error"],
    ["a chunk without a size", `${POST}transfer-encoding: chunked\r\n\r\nzz\r\n`, 400, "validation_error"],
    ["an expectation", "GET / HTTP/1.1\r\nhost: test\r\nexpect: cake\r\n\r\n", 400, "validation_error"],
    ["too many headers", `GET / HTTP/1.1\r\nhost: test\r\nx: ${"y".repeat(20_000)}\r\n\r\n`, 431, "headers_too_large"],
  ])("%s", async (_, text, status, code) => {
    const strait = await startServer({ runsEngine: false });
    const port = await listening(strait);

    const answer = await say(port, text);

    expect(answer.status).toBe(status);
    const { error, request_id } = JSON.parse(answer.body);
    expect(error.code).toBe(code);
    expect(error.message).not.toBe("");
    expect(answer.headers).toContain(`x-request-id: ${request_id}`);
    expect(answer.headers).toContain("content-type: application/json");
  });

  test("one that does not arrive in time, with 408", async () => {
    const strait = await startServer({ runsEngine: false });
    const http = createNodeServer({ fetch: strait.server.fetch, requestTimeoutMs: 30_000 });
    const said: string[] = [];
    const timeout = Object.assign(new Error("Request timeout"), { code: "ERR_HTTP_REQUEST_TIMEOUT" });

    http.emit("clientError", timeout, { writable: true, end: (text: string) => void said.push(text) });

    expect(said[0]).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
    expect(said[0]).toContain('"code":"request_timeout"');
  });

  test("but not into the middle of another answer", async () => {
    const strait = await startServer({ runsEngine: false });
    const http = createNodeServer({ fetch: strait.server.fetch, requestTimeoutMs: 30_000 });
    const done: string[] = [];
    const end = () => void done.push("answered");
    const destroy = () => void done.push("destroyed");

    http.emit("clientError", new Error("bad"), { writable: true, _httpMessage: { headersSent: true }, end, destroy });
    http.emit("clientError", new Error("bad"), { writable: false, end, destroy });

    expect(done).toEqual(["destroyed", "destroyed"]);
  });
});

describe("a connection with a body that nobody reads comes to its end", () => {
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;

  test.each([
    ["a body that nobody asked for", "GET /health HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n", 200],
    ["no such operation", "PUT /v1/jobs HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n", 404],
    ["a preflight", "OPTIONS /v1/jobs HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n", 204],
    ["no host", "POST /v1/jobs HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n", 400],
  ])("%s", async (_, head, status) => {
    const strait = await startServer({ runsEngine: false });

    const answer = await say(await listening(strait), head + chunk);

    expect(answer.status).toBe(status);
    expect(answer.headers).toContain("connection: close");
    expect(answer.said.split("HTTP/1.1 ")).toHaveLength(2);
  });

  test.each([
    ["no credentials", "transfer-encoding: chunked", 401],
    ["too much", "KEY\r\ncontent-length: 999999999", 413],
    ["too much, as it comes", "KEY\r\ntransfer-encoding: chunked", 413],
  ])("%s, after a moment in which a client can read the answer", async (_, head, status) => {
    const strait = await startServer({ runsEngine: false, env: { MAX_REQUEST_BODY_SIZE: "32768" } });
    const key = `authorization: Bearer ${strait.apiKey}`;

    const answer = await say(
      await listening(strait),
      `POST /v1/jobs HTTP/1.1\r\nhost: test\r\n${head.replace("KEY", key)}\r\n\r\n${chunk}`,
    );

    expect(answer.status).toBe(status);
    expect(answer.said.split("HTTP/1.1 ")).toHaveLength(2);
  });
});

describe("a connection that is to end with its answer", () => {
  const KEY = "authorization: Bearer KEY\r\n";

  test.each([
    ["no such operation", "/nope", "content-length: 100000", 404],
    ["no credentials", "/v1/jobs", "content-length: 100000", 401],
    ["too much", "/v1/jobs", `${KEY}content-length: 100000`, 413],
    ["too much, as it comes", "/v1/jobs", `${KEY}transfer-encoding: chunked`, 413],
  ])(
    "takes the whole body first where it is refused for %s: who still sends could not read why",
    async (_, path, head, status) => {
      const strait = await startServer({ runsEngine: false, env: { MAX_REQUEST_BODY_SIZE: "32768" } });
      const port = await listening(strait);
      const whole = "x".repeat(100_000);
      const body = head.includes("chunked") ? `186a0\r\n${whole}\r\n0\r\n\r\n` : whole;
      const socket = connect(port, "127.0.0.1").on("error", () => {});
      onTestFinished(() => void socket.destroy());
      const ended = once(socket, "close");
      const order: string[] = [];
      socket.once("data", (said) => order.push(String(said).split("\r\n")[0] ?? ""));

      const all = `${head.replace("KEY", strait.apiKey)}\r\nhost: test\r\nconnection: close`;
      socket.write(`POST ${path} HTTP/1.1\r\n${all}\r\n\r\n${body.slice(0, 50_000)}`);
      // By now it has been refused.
      for (const _round of [1, 2, 3])
        await say(port, "GET /health/ready HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
      order.push("sent");
      socket.write(body.slice(50_000));
      await ended;

      expect(order).toEqual(["sent", expect.stringContaining(`HTTP/1.1 ${status} `)]);
    },
  );

  test.each([
    ["waits no longer than a while for the rest", "content-length: 100000", 401],
    ["asks for no body that it refuses", "content-length: 100000\r\nexpect: 100-continue", 401],
  ])("%s", async (_, head, status) => {
    const strait = await startServer({ runsEngine: false });

    const { said } = await say(
      await listening(strait),
      `POST /v1/jobs HTTP/1.1\r\nhost: test\r\nconnection: close\r\n${head}\r\n\r\n`,
    );

    expect([...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code))).toEqual([status]);
  });
});

test.each([
  ["without a body", "GET /nope HTTP/1.1\r\nhost: test\r\n\r\n", 404],
  ["with a small body", "POST /v1/jobs HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}", 401],
])("a request %s that is refused does not cost the connection", async (_, text, status) => {
  const strait = await startServer({ runsEngine: false });
  const last = "GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

  const { said } = await say(await listening(strait), text + text + last);

  expect([...said.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, code]) => Number(code))).toEqual([status, status, 200]);
});

test("a client that goes away in the middle of nonsense takes nobody with it", async () => {
  const strait = await startServer({ runsEngine: false });
  const port = await listening(strait);
  const heads = [
    "CONNECT x:80 HTTP/1.1\r\nhost: x\r\n\r\n",
    "GET / HTTP/1.1\r\nhost: x\r\nexpect: cake\r\n\r\n",
    "HELLO\r\n\r\n",
  ];

  for (const head of heads) {
    const socket = connect(port, "127.0.0.1").on("error", () => {});
    await once(socket, "connect");
    socket.write(head);
    socket.resetAndDestroy();
    await once(socket, "close");
  }

  expect((await say(port, "GET /health HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n")).status).toBe(200);
});

describe("a body that waits to be asked for", () => {
  const body = '{"name":"Job","slug":"job","endpoint_url":"http://127.0.0.1:1"}';
  const head = `${POST}content-length: ${body.length}\r\nexpect: 100-continue\r\n`;

  test("is asked for once the credentials are right", async () => {
    const strait = await startServer({ runsEngine: false });
    const socket = connect(await listening(strait), "127.0.0.1");
    onTestFinished(() => void socket.destroy());
    socket.setEncoding("utf8");

    socket.write(`${head}authorization: Bearer ${strait.apiKey}\r\n\r\n`);
    const [invitation] = await once(socket, "data");
    socket.write(body);
    const [answer] = await once(socket, "data");

    expect(invitation).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 201 /);
  });

  test("is not asked for otherwise", async () => {
    const strait = await startServer({ runsEngine: false });

    const answer = await say(await listening(strait), `${head}\r\n`);

    expect(answer.status).toBe(401);
  });
});

describe("a body that cannot be taken as it was meant", () => {
  const job = { name: "Job", slug: "job", endpoint_url: "http://127.0.0.1:1/" };

  test("with an integer that would be rounded is refused, naming the field", async () => {
    const strait = await startServer({ runsEngine: false });
    const jobId = await givenJob(strait);

    const refused = await strait.request("POST", `/v1/jobs/${jobId}/trigger`, {
      text: '{"payload":{"account":9007199254740993}}',
    });
    const taken = await strait.request("POST", `/v1/jobs/${jobId}/trigger`, {
      text: '{"payload":{"account":"9007199254740993","most":9007199254740991,"float":1e300}}',
    });

    expect(refused.status).toBe(400);
    expect(refused.body.error.details.issues).toEqual([
      {
        field: "/payload/account",
        rule: "safeInteger",
        fix: "send it as a string: an integer beyond ±9007199254740991 would be rounded",
      },
    ]);
    expect(taken.status).toBe(201);
  });

  test.each([
    [{ "content-type": "application/json; charset=iso-8859-1" }, "iso-8859-1"],
    [{ "content-type": 'application/json;charset="utf-16"' }, "utf-16"],
    [{ "content-encoding": "gzip" }, "gzip"],
  ])("%o is 415, and says what to send", async (headers, given) => {
    const strait = await startServer({ runsEngine: false });

    const refused = await strait.request("POST", "/v1/jobs", { body: job, headers });

    expect([refused.status, refused.body.error.code]).toEqual([415, "unsupported_media_type"]);
    expect(refused.body.error.details).toEqual({ given });
    expect(refused.body.error.message).toMatch(/; (encode|send) the body/);
  });

  test.each([
    { "content-type": "application/json; charset=UTF-8" },
    { "content-type": "application/json; charset=utf8" },
    { "content-type": 'application/json; charset="utf-8"' },
    { "content-type": "application/vnd.strait+json" },
    { "content-encoding": "identity" },
  ])("%o is taken", async (headers) => {
    const strait = await startServer({ runsEngine: false });

    expect((await strait.request("POST", "/v1/jobs", { body: job, headers })).status).toBe(201);
  });
});

describe("a query", () => {
  test("with a parameter given twice is refused, naming it", async () => {
    const strait = await startServer({ runsEngine: false });

    const refused = await strait.request("GET", "/v1/jobs?limit=1&limit=2&cursor=a");

    expect(refused.status).toBe(400);
    expect(refused.body.error.details.issues).toEqual([
      { field: "/query/limit", rule: "maxItems", fix: "give it once" },
    ]);
    expect((await strait.request("GET", "/health?a=1&a=2")).status).toBe(200);
  });
});

describe("401", () => {
  test.each([
    ["GET", "/v1/jobs", "an API key as `Authorization: Bearer`"],
    [
      "POST",
      "/sdk/v1/runs/run_1/heartbeat",
      "the run token of the dispatch (its X-Run-Token) as `Authorization: Bearer`",
    ],
    ["POST", "/v1/projects", "INTERNAL_SECRET in X-Internal-Secret"],
  ])("of %s %s says which credentials are wanted", async (method, path, wanted) => {
    const strait = await startServer({ runsEngine: false });

    const refused = await strait.request(method, path, { token: null, ...(method === "POST" ? { body: {} } : {}) });

    expect(refused.status).toBe(401);
    expect(refused.body.error.message).toContain(wanted);
  });
});
