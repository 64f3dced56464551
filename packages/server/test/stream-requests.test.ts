import { expect, test } from "vitest";
import { startServer } from "./server.ts";

async function waitingSleep() {
  const strait = await startServer();
  const steps = [{ step_ref: "rest", type: "sleep", sleep_duration: "1h" }];
  await strait.request("POST", "/v1/workflows", { body: { name: "Rest", slug: "rest", steps } });
  const { body: run } = await strait.request("POST", "/v1/workflows/rest/trigger", { body: {} });
  return { strait, path: `/v1/workflow-runs/${run.id}/stream`, id: run.id as string };
}

test("HEAD on a stream answers with its headers, and leaves nothing that reads on", async () => {
  const { strait, path } = await waitingSleep();
  const subscribed: string[] = [];
  const { signals } = strait.server.context;
  const subscribe = signals.subscribe.bind(signals);
  signals.subscribe = (topic, listener) => {
    subscribed.push(topic);
    return subscribe(topic, listener);
  };

  const { status, body } = await strait.fetch("HEAD", path);

  expect([status, body, subscribed]).toEqual([200, null, []]);
});

test.each(["1", "99999999999999999999.1", "1.99999999999999999999", "-1.0", "x"])(
  "T3 a cursor that was made up, with the position %s, is 400",
  async (position) => {
    const { strait, path, id } = await waitingSleep();
    const cursor = Buffer.from(`${id}|00000000|${position}`).toString("base64url");

    const { status, body } = await strait.request("GET", path, { headers: { "last-event-id": cursor } });

    expect([status, body.error.details.issues[0].rule]).toEqual([400, "cursor"]);
  },
);
