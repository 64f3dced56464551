import { describe, expect, test } from "vitest";
import { sql } from "../src/store/sql.ts";
import { startServer, type TestServer } from "./server.ts";

const DAY = 86_400_000;

const start = () => startServer({ env: { MODE: "api" }, runsEngine: false });
const create = (strait: TestServer, body: object = {}, token = strait.apiKey) =>
  strait.request("POST", "/v1/api-keys", { token, body: { name: "Provider", scopes: ["events:write"], ...body } });
const rotate = (strait: TestServer, id: string, body: object = {}, token = strait.apiKey) =>
  strait.request("POST", `/v1/api-keys/${id}/rotate`, { token, body });
const revoke = (strait: TestServer, id: string) => strait.request("DELETE", `/v1/api-keys/${id}`);

const minutesBetween = (from: string, to: string) => Math.floor((Date.parse(to) - Date.parse(from) + 1_000) / 60_000);

describe("an API key", () => {
  test("is told once, and kept as a hash", async () => {
    const strait = await start();

    const { status, body } = await create(strait, { scopes: ["events:write", "events:read"] });

    expect(status).toBe(201);
    const { key, ...rest } = body;
    expect(key).toMatch(/^strait_[0-9a-f]{64}$/);
    expect(rest).toMatchObject({
      project_id: strait.projectId,
      name: "Provider",
      key_prefix: key.slice(0, 12),
      scopes: ["events:write", "events:read"],
      expires_at: null,
      revoked_at: null,
      last_used_at: null,
      grace_expires_at: null,
    });
    const list = await strait.request("GET", "/v1/api-keys");
    expect(list.body.data[0]).toEqual(rest);
    const [row] = await strait.db.query(sql`SELECT to_json(k)::text AS text FROM api_keys k WHERE id = ${body.id}`);
    expect(JSON.stringify(row)).not.toContain(key.slice(12));
  });

  test("expires after as many days as were asked for", async () => {
    const strait = await start();

    const { body } = await create(strait, { expires_in_days: 90 });

    expect(Date.parse(body.expires_at) - Date.parse(body.created_at)).toBe(90 * DAY);
  });

  test.each([
    [{ scopes: [] }, "/scopes"],
    [{ scopes: undefined }, "/scopes"],
    [{ scopes: ["everything"] }, "/scopes/0"],
    [{ name: "" }, "/name"],
    [{ expires_in_days: 0 }, "/expires_in_days"],
    [{ environment_id: "env_nobody" }, "/environment_id"],
  ])("is not made of %j", async (fields, field) => {
    const strait = await start();

    const { status, body } = await create(strait, fields);

    expect([status, body.error.details.issues[0].field]).toEqual([400, field]);
    expect((await strait.request("GET", "/v1/api-keys")).body.data).toHaveLength(1);
  });

  test("hands out no more than its own scopes, neither by creation nor by rotation", async () => {
    const strait = await start();
    const { body: manager } = await create(strait, { scopes: ["api-keys:manage", "jobs:read"] });
    const { body: powerful } = await create(strait, { scopes: ["*"] });

    const same = await create(strait, { scopes: ["jobs:read"] }, manager.key);
    const more = await create(strait, { scopes: ["jobs:read", "jobs:write"] }, manager.key);
    const all = await create(strait, { scopes: ["*"] }, manager.key);
    const rotated = await rotate(strait, powerful.id, {}, manager.key);

    expect(same.status).toBe(201);
    expect([more.status, more.body.error.details.scope]).toEqual([403, "jobs:write"]);
    expect([all.status, rotated.status, rotated.body.error.details.scope]).toEqual([403, 403, "*"]);
  });

  test("tells when it was used last", async () => {
    const strait = await start();
    const { body } = await create(strait, { scopes: ["jobs:read"] });

    await strait.request("GET", "/v1/jobs", { token: body.key });
    // What is used is written down every ten seconds, by the first use after them.
    const [row] = await strait.db.query<{ last_used_at: string | null }>(sql`
      SELECT last_used_at FROM api_keys WHERE last_used_at IS NOT NULL`);

    expect(row?.last_used_at).toMatch(/^\d{4}-/);
  });
});

describe("rotating a key", () => {
  test("makes one with the same name, scopes and expiry, and ends the old one after the grace period", async () => {
    const strait = await start();
    const { body: old } = await create(strait, { expires_in_days: 3 });
    await strait.advance(DAY);

    const { status, body } = await rotate(strait, old.id, { grace_period_minutes: 30 });

    expect(status).toBe(201);
    const { name, scopes, environment_id, expires_at } = old;
    expect(body).toMatchObject({ name, scopes, environment_id, expires_at, grace_expires_at: null });
    expect([body.id === old.id, body.key === old.key]).toEqual([false, false]);
    const { body: list } = await strait.request("GET", "/v1/api-keys");
    const shown = list.data.find(({ id }: { id: string }) => id === old.id);
    expect(minutesBetween(body.created_at, shown.grace_expires_at)).toBe(30);
  });

  test("leaves an hour by default, and none when asked so", async () => {
    const strait = await start();
    const { body: one } = await create(strait);
    const { body: two } = await create(strait);

    await strait.request("POST", `/v1/api-keys/${one.id}/rotate`);
    await rotate(strait, two.id, { grace_period_minutes: 0 });

    const { body } = await strait.request("GET", "/v1/api-keys");
    const graceOf = (id: string) => {
      const key = body.data.find((candidate: { id: string }) => candidate.id === id);
      return minutesBetween(key.created_at, key.grace_expires_at);
    };
    expect([graceOf(one.id), graceOf(two.id)]).toEqual([60, 0]);
    expect((await strait.request("GET", "/v1/jobs", { token: two.key })).status).toBe(401);
  });

  test("is refused for one that is rotated, revoked or expired", async () => {
    const strait = await start();
    const { body: rotated } = await create(strait);
    const { body: revoked } = await create(strait);
    const { body: expired } = await create(strait, { expires_in_days: 1 });
    await rotate(strait, rotated.id);
    await revoke(strait, revoked.id);
    await strait.advance(DAY);

    const answers = [rotated, revoked, expired].map(({ id }) => rotate(strait, id));

    for (const { status, body } of await Promise.all(answers))
      expect([status, body.error.code]).toEqual([409, "conflict"]);
  });

  test("twice at the same time makes one successor", async () => {
    const strait = await start();
    const { body } = await create(strait);

    const answers = await Promise.all([rotate(strait, body.id), rotate(strait, body.id)]);

    expect(answers.map(({ status }) => status).toSorted()).toEqual([201, 409]);
  });
});

describe("revoking a key", () => {
  test("says the same when it is done again", async () => {
    const strait = await start();
    const { body: key } = await create(strait);

    const first = await revoke(strait, key.id);
    const second = await revoke(strait, key.id);

    expect([first.status, first.body.id]).toEqual([200, key.id]);
    expect(first.body.revoked_at).toMatch(/^\d{4}-/);
    expect(second.body).toEqual(first.body);
  });

  test("of another project is 404, and the key works on", async () => {
    const strait = await start();
    const stranger = await strait.anotherProject();
    const { body: key } = await create(strait, { scopes: ["jobs:read"] });

    const revoked = await strait.request("DELETE", `/v1/api-keys/${key.id}`, { token: stranger.apiKey });
    const rotated = await rotate(strait, key.id, {}, stranger.apiKey);

    expect([revoked.status, rotated.status]).toEqual([404, 404]);
    expect((await strait.request("GET", "/v1/jobs", { token: key.key })).status).toBe(200);
  });
});
