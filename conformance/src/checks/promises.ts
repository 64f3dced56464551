import { createClient } from "@strait/ts";
import { check } from "../check.ts";
import { has, same, that } from "../expect.ts";
import { eventually, sleep } from "../patience.ts";
import { eventKeyPath, type World } from "../world.ts";

const wait = (step_ref: string, event_key: string, more: object = {}) => ({
  step_ref,
  type: "wait_for_event",
  event_key,
  ...more,
});

/** A job that answers what it was given. */
const echo = (world: World) => world.job(({ body }) => ({ body }));

export const promiseChecks = [
  check("ST-01", async (world) => {
    const { slug } = await echo(world);
    const save = (steps: readonly object[]) =>
      world.request("POST", "/v1/workflows", { body: { name: "W", slug: world.name("w").toLowerCase(), steps } });

    const refused = [
      await save([{ type: "wait_for_event", event_key: "k:1" }]),
      await save([{ step_ref: "wait", type: "wait_for_event" }]),
      await save([wait("wait", "k:1", { job_id: slug })]),
    ];
    const saved = await save([wait("wait", "k:1"), wait("then", "k:2", { timeout_secs: 60, depends_on: ["wait"] })]);

    same(
      refused.map(({ status }) => status),
      [400, 400, 400],
      "the statuses of steps that lack something",
    );
    same(saved.status, 201, "the status of the workflow");
    has(saved.body.steps[1], { timeout_secs: 60, depends_on: ["wait"], job_id: null }, "the second step");
  }),

  check("ST-02", async (world) => {
    const user = world.name("user");

    const run = await world.workflow([wait("aml-check", "aml:{{payload.user_id}}")], { user_id: user });

    await run.step("aml-check", "waiting");
    has((await world.event(`aml:${user}`)).body, { status: "waiting", workflow_run_id: run.id }, "the wait");
  }),

  check("ST-03", async (world) => {
    const keys = { a: world.name("a"), b: world.name("b"), c: world.name("c") };
    const run = await world.workflow([
      wait("a", keys.a),
      wait("b", keys.b),
      wait("c", keys.c, { depends_on: ["a", "b"] }),
    ]);
    await Promise.all([run.step("a", "waiting"), run.step("b", "waiting")]);

    await world.send(keys.a, 1);
    await run.step("a", "completed");
    const early = await world.event(keys.c);
    await world.send(keys.b, 1);

    same(early.status, 404, "the status of a wait whose step still waits for another");
    await run.step("c", "waiting");
    same((await world.event(keys.c)).body.status, "waiting", "its status afterward");
  }),

  check("ST-04", async (world) => {
    const key = world.name("key");
    const { slug } = await echo(world);
    const run = await world.workflow([wait("gate", key), { step_ref: "then", job_id: slug, depends_on: ["gate"] }]);
    await run.step("gate", "waiting");

    const sent = await world.send(key, { ok: true });

    has(sent, { status: 200, body: { status: "received", disposition: "delivered" } }, "the answer");
    await run.is("completed");
    same((await run.steps()).then?.status, "completed", "the status of what depends on the wait");
  }),

  check("ST-05", async (world) => {
    const key = world.name("key");
    const { slug } = await echo(world);
    const run = await world.workflow([
      wait("aml-check", key),
      {
        step_ref: "then",
        job_id: slug,
        payload: { result: "{{parent_outputs.aml-check.result}}" },
        depends_on: ["aml-check"],
      },
    ]);
    await run.step("aml-check", "waiting");

    await world.send(key, { result: "clear", score: 0.05 });

    await run.is("completed");
    const steps = await run.steps();
    same(steps["aml-check"]?.output, { result: "clear", score: 0.05 }, "the output of the wait");
    has(steps.then?.output, { result: "clear" }, "what the later step was given");
  }),

  check("ST-06", async (world) => {
    const key = world.name("key");
    const run = await world.workflow([wait("gate", key, { timeout_secs: 604_800 })]);
    await run.step("gate", "waiting");

    const { body } = await world.event(key);

    const days = (Date.parse(body.expires_at) - Date.parse(body.requested_at)) / 86_400_000;
    same(days, 7, "the days until the deadline");
    same(body.job_run_id, null, "the run that is held");
    await world.send(key, 1);
    await run.is("completed");
  }),

  check("ST-07", async (world) => {
    const gates = ["build", "test", "staging", "sign-off", "production"];
    const run = await world.workflow(
      gates.map((gate, n) => wait(gate, `${world.name(gate)}`, { depends_on: gates.slice(Math.max(0, n - 1), n) })),
    );

    for (const gate of gates) {
      await run.step(gate, "waiting");
      await world.send(world.name(gate), { passed: gate });
    }

    await run.is("completed");
    const outputs = Object.values(await run.steps()).map(({ output }) => (output as { passed: string }).passed);
    same(outputs.sort(), [...gates].sort(), "the outputs of the gates");
  }),

  check("ST-08", async (world) => {
    const batch = world.name("batch");
    const emitter = await world.job(() => ({ body: { rows: 1_000 } }));
    const emit = { step_ref: "process", job_id: emitter.slug, event_emit_key: "done:{{payload.batch}}" };
    const waiting = await world.workflow([wait("wait", "done:{{payload.batch}}")], { batch });
    await waiting.step("wait", "waiting");

    const before = `${batch}-early`;
    await (await world.workflow([emit], { batch })).is("completed");
    await (await world.workflow([emit], { batch: before })).is("completed");
    const later = await world.workflow([wait("wait", "done:{{payload.batch}}")], { batch: before });

    for (const run of [waiting, later]) {
      await run.is("completed");
      same((await run.steps()).wait?.output, { rows: 1_000 }, "the output of the wait");
    }
  }),

  check("ST-09", async (world) => {
    const { slug } = await echo(world);
    const run = await world.workflow([
      { step_ref: "nap", type: "sleep", sleep_duration: "1s" },
      { step_ref: "then", job_id: slug, depends_on: ["nap"] },
    ]);

    await run.is("completed");

    const { nap, then } = await run.steps();
    has(nap, { status: "completed" }, "the sleep");
    const slept = Date.parse(nap?.finished_at ?? "") - Date.parse(nap?.started_at ?? "");
    // The row of the step is written a moment after that of its timer.
    that(slept >= 950, `the sleep took ${slept} ms`);
    that((then?.started_at ?? "") >= (nap?.finished_at ?? "~"), "the next step started before its end");
  }),

  check("ST-10", async (world) => {
    const run = await world.run();
    const other = await world.run();

    const reported = await run.report("POST", "progress", { body: { percent: 40, message: "page 4 of 10" } });
    const foreign = await run.report("POST", "progress", { token: other.token, body: { percent: 90 } });

    that(reported.status < 300, `the status of a report is ${reported.status}`);
    has(await run.read(), { progress: { percent: 40, message: "page 4 of 10" } }, "the run");
    same(foreign.status, 403, "the status of a report with the token of another run");
  }),

  check("ST-11", async (world) => {
    const key = world.name("key");
    const { url, dispatches } = world.receiver(() => ({}));

    const run = await world.parked(key, { timeout_secs: 3_600, notify_url: url });

    has(run.trigger, { event_key: key, timeout_secs: 3_600, notify_url: url, job_run_id: run.id }, "the answer");
    same(run.trigger.trigger_id, run.trigger.id, "trigger_id");
    same((await run.read()).status, "waiting", "the status of the run");
    const told = await eventually("a notification", async () => dispatches[0]);
    has(told.body, { event: "trigger.waiting", event_key: key }, "the notification");
  }),

  check("ST-12", async (world) => {
    const key = world.name("key");
    const { slug, dispatches } = await world.job(async ({ headers, runId, runToken }) => {
      if (headers["x-last-checkpoint"] !== undefined) return { body: JSON.parse(String(headers["x-last-checkpoint"])) };
      const body = { event_key: key };
      await world.request("POST", `/sdk/v1/runs/${runId}/wait-for-event`, { token: runToken, body });
      return { status: 202 };
    });
    const { body } = await world.request("POST", `/v1/jobs/${slug}/trigger`, { body: { payload: {} } });
    await eventually("the wait", async () => ((await world.event(key)).status === 200 ? true : undefined));

    await world.send(key, { approved: true, note: "äöü" });

    const run = await eventually("the end of the run", async () => {
      const now = await world.request("GET", `/v1/runs/${body.id}`);
      return now.body.status === "completed" ? now.body : undefined;
    });
    same(run.result, { approved: true, note: "äöü" }, "what the code found as its checkpoint");
    same(dispatches.length, 2, "the number of dispatches");
  }),

  check("ST-13", async (world) => {
    const batch = world.name("batch-42:");
    const keys = [`${batch}item-1`, `${batch}item-2`];
    const runs = await Promise.all(keys.map((key) => world.parked(key)));

    const sent = await world.sendPrefix(batch, { payload: { approved: true } });

    same(sent.body.resolved, 2, "the number of waits that were answered");
    for (const run of runs) {
      const { headers } = await run.dispatch(2);
      same(JSON.parse(String(headers["x-last-checkpoint"])), { approved: true }, "what a run was resumed with");
    }
  }),

  check("ST-15", async (world) => {
    const key = world.name("key");
    await world.parked(key);
    const stream = await world.stream(`${eventKeyPath(key)}/stream`);

    const frames = [await stream.next(), await stream.next()];
    await world.send(key, 1);
    const rest = await stream.rest();

    same(
      frames.map((frame) => frame?.event),
      ["status", "keepalive"],
      "the events while nothing happens",
    );
    same(
      rest.map(({ event }) => event),
      ["status", "end"],
      "the events after the answer",
    );
  }),

  check("ST-16", async (world) => {
    const keys = ["received", "timed_out", "canceled", "waiting"].map((status) => world.name(status));
    const [received = "", timedOut = "", canceled = "", waiting = ""] = keys;
    await Promise.all([received, canceled, waiting].map((key) => world.parked(key)));
    const timing = await world.parked(timedOut, { timeout_secs: 1 });

    await world.send(received, 1);
    await world.cancel(canceled);
    await timing.is("timed_out");

    const prefix = encodeURIComponent(world.name(""));
    for (const key of keys) {
      const { status } = (await world.event(key)).body;
      same(world.name(status), key, `the status of ${key}`);
      const { body } = await world.request("GET", `/v1/events?status=${status}&prefix=${prefix}`);
      same(
        body.data.map((trigger: { event_key: string }) => trigger.event_key),
        [key],
        `what is listed as ${status}`,
      );
    }
  }),

  check("ST-17", async (world) => {
    const key = world.name("key");
    await world.parked(key);
    const path = `${eventKeyPath(key)}/stream`;

    const stream = await world.stream(`${path}?token=${world.apiKey}`, { token: null });
    const none = await world.request("GET", path, { token: null });

    same((await stream.next())?.event, "status", "the first event");
    await stream.leave();
    same(none.status, 401, "the status without a token");
  }),

  check("ST-18", async (world) => {
    const { slug } = await echo(world);
    const after = async (on_failure: string) => {
      const run = await world.workflow([
        wait("gate", world.name(on_failure), { timeout_secs: 1, on_failure }),
        { step_ref: "behind", job_id: slug, depends_on: ["gate"] },
        { step_ref: "beside", job_id: slug },
      ]);
      const ended = await run.is(on_failure === "fail_workflow" ? "failed" : "completed");
      const { gate, behind, beside } = await run.steps();
      return [ended.status, gate?.status, behind?.status, beside?.status];
    };

    const [fail, skip, go] = await Promise.all([after("fail_workflow"), after("skip_dependents"), after("continue")]);

    same(fail?.slice(0, 2), ["failed", "failed"], "the workflow run and its wait after fail_workflow");
    that(["canceled", "skipped"].includes(fail?.[2] ?? ""), `what depends on it is ${fail?.[2]}`);
    same(skip, ["completed", "failed", "skipped", "completed"], "run, wait, behind, beside after skip_dependents");
    same(go, ["completed", "failed", "completed", "completed"], "run, wait, behind, beside after continue");
  }),

  check("ST-19", async (world) => {
    const key = world.name("key");
    const run = await world.workflow([wait("gate", key)]);
    await run.step("gate", "waiting");

    const canceled = await world.cancel(key);

    same(canceled.body.status, "canceled", "the status of the wait");
    same((await run.steps()).gate?.status, "failed", "the status of its step, at once");
    await run.is("failed");
  }),

  check("ST-20", async (world) => {
    const [good, refusing, broken] = [
      world.receiver(() => ({})),
      world.receiver(() => ({ status: 410 })),
      world.receiver(() => ({ status: 503 })),
    ];
    const triggers = await Promise.all(
      [good, refusing, broken].map(({ url }) => world.parked(world.name(), { notify_url: url })),
    );

    const settled = await Promise.all(
      triggers.map(({ trigger }) =>
        eventually("an attempt", async () => {
          const { body } = await world.request("GET", "/v1/webhooks/deliveries?limit=100");
          const delivery = body.data.find((row: { event_trigger_id: string }) => row.event_trigger_id === trigger.id);
          return delivery?.attempts > 0 ? delivery : undefined;
        }),
      ),
    );

    has(settled[0], { status: "delivered", attempts: 1 }, "a delivery that was taken");
    has(settled[1], { status: "dead", attempts: 1, last_status_code: 410 }, "a delivery that was refused");
    has(settled[2], { status: "pending", attempts: 1, max_attempts: 5, last_status_code: 503 }, "one that failed");
    const pause = Date.parse(settled[2].next_retry_at) - Date.parse(settled[2].updated_at);
    that(Math.abs(pause - 5_000) < 1_000, `the first pause is ${pause} ms, not 5 s`);
  }),

  check("ST-21", async (world) => {
    const key = world.name("key");
    const run = await world.run();
    const baseUrl = world.nextUrl();
    const code = createClient({ baseUrl, auth: { type: "runToken", token: run.token } });
    const sender = createClient({ baseUrl, auth: { type: "bearer", token: world.apiKey } });

    const opened = await code.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
      pathParams: { runID: run.id },
      body: { event_key: key, timeout_secs: 3_600 },
    });
    const resolved = await sender.operationsPromise.postV1EventsByEventKeySend({
      pathParams: { eventKey: key },
      body: { payload: { result: "clear" } },
    });

    same(opened.status, "waiting", "the status of the wait");
    same(resolved.status, "received", "the status of the resolved trigger");
    await run.dispatch(2);
  }),

  check("ST-23", async (world) => {
    const key = world.name("key");

    const run = await world.parked(key);
    const endless = await world.parked(world.name("endless"), { timeout_secs: null });

    has(run.trigger, { timeout_secs: 3_600 }, "a wait that names no timeout");
    that(run.trigger.expires_at !== null, "a wait that names no timeout has no deadline");
    has(endless.trigger, { timeout_secs: null, expires_at: null }, "a wait that is to have none");
  }),

  check("GR-03", async (world) => {
    const key = world.name("key");
    const run = await world.run();
    for (const n of [1, 2]) await world.send(key, n);
    same((await run.read()).status, "executing", "the status of the run meanwhile");
    await sleep(100);

    const taken = [await run.wait(key), await run.wait(key)].map(({ body }) => body.response_payload);

    same(taken, [1, 2], "what the next waits took");
  }),
];
