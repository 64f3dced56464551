import { describe, expect, test } from "vitest";
import { startServer, type TestServer } from "./server.ts";

const start = () => startServer({ env: { MODE: "api" }, runsEngine: false });
const asOperator = (strait: TestServer, method: string, path: string, body?: object, projectId?: string) =>
  strait.request(method, path, {
    token: null,
    headers: {
      "x-internal-secret": strait.internalSecret,
      ...(projectId === undefined ? {} : { "x-project-id": projectId }),
    },
    ...(body === undefined ? {} : { body }),
  });

describe("a project", () => {
  test("has an environment and a signing secret of its own, and is read again as it was made", async () => {
    const strait = await start();

    const { status, body } = await asOperator(strait, "POST", "/v1/projects", { name: "Acme", org_id: "org_1" });
    const { body: other } = await asOperator(strait, "POST", "/v1/projects", { name: "Acme" });
    const { body: again } = await asOperator(strait, "GET", `/v1/projects/${body.id}`);

    expect(status).toBe(201);
    expect(body).toMatchObject({ id: expect.stringMatching(/^proj_/), org_id: "org_1", name: "Acme" });
    expect(body.default_environment_id).toMatch(/^env_/);
    expect(Buffer.from(body.signing_secret.replace(/^whsec_/, ""), "base64")).toHaveLength(32);
    expect([other.org_id, other.signing_secret === body.signing_secret]).toEqual([null, false]);
    expect(again).toEqual(body);
  });

  test("can be worked in by the one who made it", async () => {
    const strait = await start();
    await asOperator(strait, "POST", "/v1/projects", { id: "acme", name: "Acme" });

    const { body } = await asOperator(strait, "POST", "/v1/api-keys", { name: "First", scopes: ["*"] }, "acme");
    const keys = await strait.request("GET", "/v1/api-keys", { token: body.key });

    expect(body.project_id).toBe("acme");
    expect(keys.body.data).toMatchObject([{ id: body.id, name: "First" }]);
  });

  test("whose id is taken is 409, and the one that has it stays as it is", async () => {
    const strait = await start();
    const { body: first } = await asOperator(strait, "POST", "/v1/projects", { id: "acme", name: "Acme" });

    const second = await asOperator(strait, "POST", "/v1/projects", { id: "acme", name: "Mallory", org_id: "org_2" });
    const { body: now } = await asOperator(strait, "GET", "/v1/projects/acme");

    expect([second.status, second.body.error.code]).toEqual([409, "conflict"]);
    expect(JSON.stringify(second.body)).not.toContain(first.signing_secret);
    expect(now).toEqual(first);
  });

  test.each([
    [{}, "/name"],
    [{ name: "A" }, "/name"],
    [{ name: "a".repeat(256) }, "/name"],
    [{ name: "Acme", id: "not a slug" }, "/id"],
    [{ name: "Acme", signing_secret: "whsec_mine" }, "/signing_secret"],
  ])("is not made of %j", async (input, field) => {
    const strait = await start();

    const { status, body } = await asOperator(strait, "POST", "/v1/projects", input);

    expect([status, body.error.details.issues[0].field]).toEqual([400, field]);
    expect((await asOperator(strait, "GET", "/v1/projects")).body.data).toHaveLength(1);
  });

  test("that does not exist is 404", async () => {
    const strait = await start();

    const { status, body } = await asOperator(strait, "GET", "/v1/projects/nobody");

    expect([status, body.error.details]).toEqual([404, { resource: "project", id: "nobody" }]);
  });

  test("is none of the business of an API key, not even its own", async () => {
    const strait = await start();

    const answers = [
      await strait.request("GET", "/v1/projects"),
      await strait.request("GET", `/v1/projects/${strait.projectId}`),
      await strait.request("POST", "/v1/projects", { body: { name: "Mine" } }),
    ];

    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  });
});
