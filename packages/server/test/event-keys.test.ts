import { describe, expect, test } from "vitest";
import { startExampleWorld } from "./example-world.ts";

describe("an event key in a URL", () => {
  test.each([
    ["a colon", "aml:user-457", "aml%3Auser-457"],
    ["with a space", "order 7", "order%207"],
    ["a slash", "a/b", "a%2Fb"],
    ["a slash in lower case", "a/b", "a%2fb"],
    ["a percent sign", "100%", "100%25"],
    ["an encoded slash as text", "%2F", "%252F"],
    ["an encoded percent sign as text", "%25", "%2525"],
    ["a plus sign", "a+b", "a+b"],
    ["what URLs give a meaning", "a?b#c&d=e;f\\g", "a%3Fb%23c%26d%3De%3Bf%5Cg"],
    ["dots and a slash", "../x", "..%2Fx"],
    ["an emoji", "ok:👍", "ok%3A%F0%9F%91%8D"],
    ["letters beyond ASCII, composed", "prüfung:ü", "pr%C3%BCfung:%C3%BC"],
    ["letters beyond ASCII, decomposed", "pru\u0308fung", "pr%C3%BCfung"],
    ["the same the other way around", "pr\u00fcfung", "pru%CC%88fung"],
    ["512 characters beyond the BMP", "👍".repeat(512), encodeURIComponent("👍".repeat(512))],
  ])("may hold %s", async (_, key, segment) => {
    const world = await startExampleWorld();

    const wait = await world.request("POST", `/sdk/v1/runs/${world.runId}/wait-for-event`, {
      token: world.runToken,
      body: { event_key: key },
    });
    const found = await world.request("GET", `/v1/events/${segment}`);
    const sent = await world.request("POST", `/v1/events/${segment}/send`, {
      body: { payload: 1 },
    });
    const listed = await world.request("GET", `/v1/events?prefix=${encodeURIComponent(key)}`);

    const expected = { id: wait.body.id, event_key: key.normalize("NFC") };
    expect(wait.body).toMatchObject({ ...expected, status: "waiting" });
    expect(found.body).toMatchObject({ ...expected, status: "waiting" });
    expect(sent.body).toMatchObject({ ...expected, status: "received", disposition: "delivered" });
    expect(listed.body.data).toMatchObject([expected]);
  });

  test("counts once, however it is written: aml%3Auser-456 is aml:user-456", async () => {
    const world = await startExampleWorld();

    const plain = await world.request("GET", "/v1/events/aml:user-456");
    const encoded = await world.request("GET", "/v1/events/aml%3Auser-456");

    expect(encoded.body).toEqual(plain.body);
  });
});
