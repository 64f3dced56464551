import { describe, expect, test } from "vitest";
import { givenClient } from "./fixture/client.ts";
import { errorBody, givenServer, type Reply } from "./fixture/server.ts";

const refused: Reply = { status: 401, body: errorBody("unauthorized", "unknown key") };
const seen = (arrived: readonly { readonly headers: { readonly authorization?: string | undefined } }[]) =>
  arrived.map(({ headers }) => headers.authorization);

/** A provider that gives token-0001, token-0002 and so on, and remembers how it was asked. */
function givenProvider() {
  const asked: boolean[] = [];
  const token = async ({ refresh }: { readonly refresh: boolean }) => {
    asked.push(refresh);
    return `token-000${asked.length}`;
  };
  return { asked, auth: { type: "bearer", token } as const };
}

describe("a token provider", () => {
  test("is asked once for calls that run at the same time and for those that follow", async () => {
    const { baseUrl, arrived } = await givenServer({});
    const { asked, auth } = givenProvider();
    const client = givenClient(baseUrl, { auth });

    await Promise.all([client.getV1Events(), client.getV1Events(), client.getV1Events()]);
    await client.getV1Events();

    expect(asked).toEqual([false]);
    expect(seen(arrived)).toEqual(Array(4).fill("Bearer token-0001"));
  });

  test("is asked once more after a 401, and the request goes out again", async () => {
    const { baseUrl, arrived } = await givenServer(refused, { body: { data: [] } });
    const { asked, auth } = givenProvider();

    expect(await givenClient(baseUrl, { auth }).getV1Events()).toEqual({ data: [] });
    expect(asked).toEqual([false, true]);
    expect(seen(arrived)).toEqual(["Bearer token-0001", "Bearer token-0002"]);
  });

  test("is not asked a third time when the new token is refused too", async () => {
    const { baseUrl, arrived } = await givenServer(refused);
    const { asked, auth } = givenProvider();

    await expect(givenClient(baseUrl, { auth }).getV1Events()).rejects.toMatchObject({
      _tag: "UnauthorizedError",
      attempts: 2,
    });
    expect(asked).toEqual([false, true]);
    expect(arrived).toHaveLength(2);
  });

  test("is asked once for many calls that are refused together", async () => {
    const token1 = "Bearer token-0001";
    const { asked, auth } = givenProvider();
    const client = givenClient("https://strait.dev", {
      auth,
      fetch: async (_url, { headers }) =>
        headers.authorization === token1 ? new Response("", { status: 401 }) : Response.json({}),
    });

    await Promise.all(Array.from({ length: 8 }, () => client.getV1Events()));

    expect(asked).toEqual([false, true]);
  });

  test("leaves a call all its retries", async () => {
    const { baseUrl, arrived } = await givenServer(refused, { status: 503 }, { status: 503 }, { body: { data: [] } });

    expect(await givenClient(baseUrl, { auth: givenProvider().auth }).getV1Events()).toEqual({ data: [] });
    expect(arrived).toHaveLength(4);
  });

  test("that fails is the error of the call, and is asked again by the next one", async () => {
    const { baseUrl, arrived } = await givenServer({});
    let asked = 0;
    const token = () => {
      asked += 1;
      if (asked === 1) throw new Error("the vault is sealed");
      return "token-0001";
    };
    const client = givenClient(baseUrl, { auth: { type: "bearer", token } });

    await expect(client.getV1Events()).rejects.toMatchObject({
      _tag: "TokenError",
      attempts: 0,
      message: expect.stringContaining("the vault is sealed"),
    });
    await client.getV1Events();

    expect(seen(arrived)).toEqual(["Bearer token-0001"]);
  });

  test.each([[""], ["two words"], ["a\r\nb"], [undefined]])("that gives %j is refused", async (given) => {
    const { baseUrl, arrived } = await givenServer({});
    const token = () => given as string;

    await expect(givenClient(baseUrl, { auth: { type: "bearer", token } }).getV1Events()).rejects.toMatchObject({
      _tag: "TokenError",
    });
    expect(arrived).toEqual([]);
  });

  test("that hangs costs no more than the time of an attempt, and an abort ends the wait for it", async () => {
    const { baseUrl } = await givenServer({});
    const token = () => new Promise<string>(() => {});
    const client = givenClient(baseUrl, { auth: { type: "bearer", token }, retries: 0 });
    const abort = new AbortController();

    await expect(client.getV1Events({ timeoutMs: 10 })).rejects.toMatchObject({ _tag: "TimeoutError" });
    const call = client.getV1Events({ signal: abort.signal });
    abort.abort();

    await expect(call).rejects.toMatchObject({ _tag: "AbortError" });
  });

  test("does not have its tokens in errors, not even those of before", async () => {
    const { baseUrl } = await givenServer(refused, { status: 400, body: { error: "token-0001 token-0002" } });

    const error: unknown = await givenClient(baseUrl, { auth: givenProvider().auth })
      .getV1Events()
      .catch((caught: unknown) => caught);

    expect(error).toMatchObject({ body: { error: "[redacted] [redacted]" } });
  });

  test("is not asked for a public operation", async () => {
    const { baseUrl } = await givenServer({});
    const { asked, auth } = givenProvider();

    await givenClient(baseUrl, { auth }).getHealth();

    expect(asked).toEqual([]);
  });
});

describe("the token of a run", () => {
  const wait = { pathParams: { runID: "run_1" }, body: { event_key: "k" } };
  const auth = { type: "runToken", token: "run-token" } as const;

  test("that has expired is an error of its own, since nothing can refresh it", async () => {
    const { baseUrl, arrived } = await givenServer({ status: 401, body: errorBody("token_expired", "it is over") });

    const call = givenClient(baseUrl, { auth }).postSdkV1RunsByRunIDWaitForEvent(wait);

    await expect(call).rejects.toMatchObject({ _tag: "RunTokenExpiredError", status: 401, code: "token_expired" });
    expect(arrived).toHaveLength(1);
  });

  test("that is refused otherwise is not", async () => {
    const { baseUrl } = await givenServer(refused);

    await expect(givenClient(baseUrl, { auth }).postSdkV1RunsByRunIDWaitForEvent(wait)).rejects.toMatchObject({
      _tag: "UnauthorizedError",
    });
  });

  test("comes from no provider", () => {
    const provider = { type: "runToken", token: () => "run-token" } as never;

    expect(() => givenClient("https://strait.dev", { auth: provider })).toThrow("auth.token must be ASCII text");
  });
});
