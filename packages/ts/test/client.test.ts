import { operations } from "@strait/contract";
import { describe, expect, test } from "vitest";
import { type AuthType, createClient } from "../src/index.ts";
import { errorBody, givenServer } from "./fixture/server.ts";

const token = "strait_test_0123456789";

/** The operations of the contract that accept the credential, by what they answer. */
function operationsFor(type: AuthType, kind: "answer" | "stream" | "list"): string[] {
  return Object.values(operations)
    .filter(({ media }) => (media === "sse") === (kind === "stream"))
    .filter(({ paginated }) => kind !== "list" || paginated)
    .filter(({ auth }) => auth.length === 0 || (auth as readonly string[]).includes(type))
    .map(({ id }) => id)
    .sort();
}

describe("a client", () => {
  test.each(["bearer", "runToken", "internalSecret"] as const)("with %s has the operations that accept it", (type) => {
    const client = createClient({ baseUrl: "https://strait.dev", auth: { type, token } });

    expect(Object.keys(client.operationsPromise).sort()).toEqual(operationsFor(type, "answer"));
    expect(Object.keys(client.operations).sort()).toEqual(operationsFor(type, "answer"));
    expect(Object.keys(client.stream).sort()).toEqual(operationsFor(type, "stream"));
    expect(Object.keys(client.paginate).sort()).toEqual(operationsFor(type, "list"));
  });

  test("runs the guide's example", async () => {
    const review = { id: "trg_1", event_key: "review:doc-1" };
    const { baseUrl, arrived } = await givenServer(
      { body: { ...review, trigger_id: "trg_1", status: "waiting" } },
      { body: { ...review, status: "received", disposition: "delivered" } },
      { body: { ...review, status: "received" } },
    );
    const runClient = createClient({ baseUrl, auth: { type: "runToken", token: "run-token" } });
    const eventClient = createClient({ baseUrl, auth: { type: "bearer", token } });

    const trigger = await runClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
      pathParams: { runID: "run_1" },
      body: { event_key: "review:doc-1", timeout_secs: 172_800 },
    });
    const resolved = await eventClient.operationsPromise.postV1EventsByEventKeySend({
      pathParams: { eventKey: "review:doc-1" },
      body: { payload: { approved: true } },
    });
    const status = await eventClient.operationsPromise.getV1EventsByEventKey({
      pathParams: { eventKey: "review:doc-1" },
    });

    expect([trigger.trigger_id, resolved.status, status.status]).toEqual(["trg_1", "received", "received"]);
    expect(arrived.map(({ method, url, headers }) => [method, url, headers.authorization])).toEqual([
      ["POST", "/sdk/v1/runs/run_1/wait-for-event", "Bearer run-token"],
      ["POST", "/v1/events/review%3Adoc-1/send", `Bearer ${token}`],
      ["GET", "/v1/events/review%3Adoc-1", `Bearer ${token}`],
    ]);
  });

  test("has methods that may be taken off it", async () => {
    const { baseUrl } = await givenServer({ status: 404, body: errorBody("not_found", "no such trigger") });
    const { getV1EventsByEventKey } = createClient({ baseUrl, auth: { type: "bearer", token } }).operationsPromise;

    await expect(getV1EventsByEventKey({ pathParams: { eventKey: "k" } })).rejects.toThrow("not_found");
  });

  test("does not touch the other clients of the process", async () => {
    const [ours, theirs] = [await givenServer({}), await givenServer({})];
    const auth = { type: "bearer", token } as const;
    const first = createClient({ baseUrl: ours.baseUrl, auth, headers: { "x-team": "a" } });
    const second = createClient({ baseUrl: theirs.baseUrl, auth: { ...auth, token: "strait_another_key" } });

    await Promise.all([first.operationsPromise.getV1Events(), second.operationsPromise.getV1Events()]);

    expect(ours.arrived[0]?.headers).toMatchObject({ authorization: `Bearer ${token}`, "x-team": "a" });
    expect(theirs.arrived[0]?.headers).toMatchObject({ authorization: "Bearer strait_another_key" });
    expect(theirs.arrived[0]?.headers).not.toHaveProperty("x-team");
  });
});
