import { expect, test } from "vitest";
import { startServer } from "./server.ts";

async function waitingSleep(env: Record<string, string> = {}) {
  const strait = await startServer({ env });
  const steps = [{ step_ref: "rest", type: "sleep", sleep_duration: "1h" }];
  await strait.request("POST", "/v1/workflows", { body: { name: "Rest", slug: "rest", steps } });
  const { body: run } = await strait.request("POST", "/v1/workflows/rest/trigger", { body: {} });
  return { strait, path: `/v1/workflow-runs/${run.id}/stream`, id: run.id as string };
}

test("T1 HEAD on a stream answers as its GET does, headers and all, and leaves nothing that reads on", async () => {
  const { strait, path } = await waitingSleep({ STRAIT_MAX_STREAMS_PER_PROJECT: "1" });
  const subscribed: string[] = [];
  const { signals } = strait.server.context;
  const subscribe = signals.subscribe.bind(signals);
  signals.subscribe = (topic, listener) => {
    subscribed.push(topic);
    return subscribe(topic, listener);
  };
  const nobody = path.replace(/wfr_\w+/, "wfr_nobody");
  const told = ({ status, headers }: Response) => {
    const { "x-request-id": _, "content-length": _length, ...rest } = Object.fromEntries(headers);
    return { status, ...rest };
  };

  const heads = [
    await strait.fetch("HEAD", path),
    await strait.fetch("HEAD", path),
    await strait.fetch("HEAD", nobody),
  ];
  const unheard = [...subscribed];
  const gets = [await strait.fetch("GET", path), await strait.fetch("GET", nobody)];

  expect(unheard).toEqual([]);
  expect([told(heads[0] as Response), told(heads[2] as Response)]).toEqual(gets.map(told));
  expect(heads.map(({ status, body }) => [status, body])).toEqual([
    [200, null],
    [200, null],
    [404, null],
  ]);
  expect(heads[0]?.headers.get("content-type")).toBe("text/event-stream");
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
