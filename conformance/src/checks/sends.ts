import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";

export const sends = [
  check("S1", async (world) => {
    const key = world.name("key");
    await world.parked(key);
    const first = await world.send(key, { a: 1, b: [1, { c: null }] });

    const equal = await world.send(key, { b: [1.0, { c: null }], a: 1 });
    const other = await world.send(key, { a: 1, b: [{ c: null }, 1] });

    has(first, { status: 200, body: { disposition: "delivered", status: "received" } }, "the first answer");
    has(equal, { status: 200, body: { disposition: "duplicate", status: "received" } }, "an equal answer");
    const details = { status: "received", received_at: first.body.received_at };
    has(other, { status: 409, body: { error: { code: "already_resolved", details } } }, "another answer");
    has((await world.event(key)).body.response_payload, { a: 1, b: [1, { c: null }] }, "the payload that stands");
  }),

  check("S2", async (world) => {
    const key = world.name("key");
    const once = { "idempotency-key": world.name("once") };
    await world.parked(key);
    const answers = await Promise.all(Array.from({ length: 8 }, () => world.send(key, "yes", {}, once)));
    const next = await world.parked(key);

    const later = await world.send(key, "yes", {}, once);
    const mismatch = await world.send(key, "no", {}, once);
    const elsewhere = await world.send(world.name("other"), "no", {}, once);

    const bodies = new Set([...answers, later].map(({ status, body }) => `${status} ${JSON.stringify(body)}`));
    same(bodies.size, 1, "the number of different answers to one request");
    const replayed = answers.filter(({ headers }) => headers.get("idempotency-replayed") === "true");
    same(replayed.length, answers.length - 1, "the number of answers that are replayed");
    same(later.headers.get("idempotency-replayed"), "true", "Idempotency-Replayed of a later repeat");
    has(mismatch, { status: 422, body: { error: { code: "idempotency_mismatch" } } }, "the same key with another body");
    same(elsewhere.status, 202, "the status of the same Idempotency-Key for another event key");
    has((await world.event(key)).body, { id: next.trigger.id, status: "waiting" }, "the next wait");
  }),

  check("S4", async (world) => {
    const key = world.name("key");
    await world.parked(key);
    const send = (body: object) => world.request("POST", `/v1/events/${encodeURIComponent(key)}/send`, { body });

    const refused = [await send({ data: 1 }), await send({ payload: 1, result: 2 })];
    const untouched = await world.event(key);
    const sent = await send({ payload: { data: 1 } });

    for (const { status, body } of refused) {
      has({ status, body }, { status: 400, body: { error: { code: "validation_error" } } }, "an unknown field");
      const fields = body.error.details.issues.map(({ field }: { field: string }) => field);
      that(fields.includes("/data") || fields.includes("/result"), `the issues name ${fields}`);
    }
    same(untouched.body.status, "waiting", "the status after the refusals");
    has(sent.body, { disposition: "delivered", response_payload: { data: 1 } }, "a send with a payload");
  }),

  check("S5", async (world) => {
    const [failing, resuming] = [world.name("fail"), world.name("resume")];
    const reject = (key: string, reason: string) =>
      world.request("POST", `/v1/events/${encodeURIComponent(key)}/reject`, { body: { reason, details: { page: 7 } } });
    const ended = await world.parked(failing);
    const resumed = await world.parked(resuming, { on_cancel: "resume" });

    const rejected = await reject(failing, "the passport has expired");
    const again = await reject(failing, "the passport has expired");
    const nobody = await reject(world.name("nobody"), "no");
    await reject(resuming, "the passport has expired");

    const cancellation = { kind: "rejected", reason: "the passport has expired", details: { page: 7 } };
    const body = { status: "canceled", response_payload: null, cancellation };
    has(rejected, { status: 200, body: { disposition: "delivered", ...body } }, "the answer");
    has(again, { status: 200, body: { disposition: "duplicate" } }, "an equal rejection");
    same(nobody.status, 404, "the status of a rejection that nobody waits for");
    const run = await ended.is("failed");
    that(String(run.error).includes("the passport has expired"), `the run's error is ${run.error}`);
    const { headers } = await resumed.dispatch(2);
    same(headers["x-resume-reason"], "rejected", "the reason of the resume");
    has(JSON.parse(String(headers["x-last-checkpoint"])), cancellation, "what the code is told");
  }),

  check("W1", async (world) => {
    const key = world.name("key");
    await world.parked(key);
    const path = `/v1/events/${encodeURIComponent(key)}/send`;

    const forged = await world.request("POST", path, { body: { payload: 1, sent_by: "the president" } });
    const sent = await world.send(key, 1, {}, { "x-sent-by": "the president", "x-actor": "the president" });

    same(forged.status, 400, "the status of a send that says who sent it");
    that(/^apikey:key_/.test(sent.body.sent_by), `sent_by is ${sent.body.sent_by}, not the API key`);
    same((await world.event(key)).body.sent_by, sent.body.sent_by, "sent_by, as it was kept");

    const refused = world.name("refused");
    await world.parked(refused);
    const [reject, sends] = ["reject", "sends"].map((what) => `/v1/events/${encodeURIComponent(refused)}/${what}`);
    const headers = { "idempotency-key": world.name("once") };
    await world.request("POST", String(reject), { body: { reason: "no" }, headers });
    const [record] = (await world.request("GET", String(sends))).body.data;
    same(record.idempotency_key, headers["idempotency-key"], "the Idempotency-Key of a rejection, as it was kept");
  }),

  check("W3", async (world) => {
    const key = world.name("key");
    const run = await world.parked(key);
    const before = (await world.event(key)).body;
    const event = `/v1/events/${encodeURIComponent(key)}`;
    const paths = [event, `${event}/send`, `/v1/runs/${run.id}`, `/v1/events/prefix/${encodeURIComponent(key)}/send`];

    for (const method of ["GET", "HEAD", "OPTIONS"]) {
      for (const path of paths) {
        const { status } = await world.request(method, path);
        that(status < 500, `${method} ${path} is ${status}`);
      }
    }

    same((await world.event(key)).body, before, "the wait after every GET, HEAD and OPTIONS");
    same((await run.read()).status, "waiting", "the status of the run");
  }),
];
