import { describe, expect, test } from "vitest";
import { signWebhook, verifyWebhook } from "../src/webhooks.ts";

const secret = `whsec_${btoa("a secret of thirty-two bytes ....")}`;
const another = `whsec_${btoa("another secret of as many bytes.")}`;
const nowMs = Date.parse("2026-01-01T00:00:00Z");
const message = { id: "whd_1", body: '{"event":"trigger.received","note":"größe ✓"}', timestampSecs: nowMs / 1_000 };

async function givenWebhook() {
  return { headers: await signWebhook(message, secret), body: message.body };
}

describe("a webhook", () => {
  test("with the right signature is believed, whatever holds its headers", async () => {
    const webhook = await givenWebhook();

    const verified = await verifyWebhook(webhook, { secret, nowMs });
    const again = await verifyWebhook({ ...webhook, headers: new Headers(webhook.headers) }, { secret, nowMs });

    expect(verified).toEqual({ id: "whd_1", timestampSecs: nowMs / 1_000, payload: JSON.parse(message.body) });
    expect(again).toEqual(verified);
  });

  test("is believed while either of two secrets fits, and with one good signature among others", async () => {
    const webhook = await givenWebhook();
    const other = await signWebhook(message, another);
    const both = {
      ...webhook.headers,
      "webhook-signature": `v1a,xx ${other["webhook-signature"]} ${webhook.headers["webhook-signature"]}`,
    };

    await expect(verifyWebhook(webhook, { secret: [another, secret], nowMs })).resolves.toBeDefined();
    await expect(verifyWebhook({ ...webhook, headers: both }, { secret, nowMs })).resolves.toBeDefined();
  });

  test.each([
    ["another secret", {}, { secret: another }, "wrong_signature"],
    ["another body", { body: message.body.replace("received", "canceled") }, {}, "wrong_signature"],
    ["another id", { "webhook-id": "whd_2" }, {}, "wrong_signature"],
    ["a signature that is no base64", { "webhook-signature": "v1,%%%" }, {}, "wrong_signature"],
    ["no signature", { "webhook-signature": undefined }, {}, "missing_headers"],
    ["a time that is none", { "webhook-timestamp": "now" }, {}, "missing_headers"],
    ["a time too long ago", {}, { nowMs: nowMs + 301_000 }, "too_old_or_too_new"],
    ["a time to come", {}, { nowMs: nowMs - 301_000 }, "too_old_or_too_new"],
    ["a time beyond a smaller tolerance", {}, { nowMs: nowMs + 11_000, toleranceSecs: 10 }, "too_old_or_too_new"],
    ["a tolerance that is no number", {}, { nowMs: nowMs + 9e9, toleranceSecs: Number.NaN }, "too_old_or_too_new"],
  ])("with %s is refused", async (_what, { body, ...headers }: Record<string, string | undefined>, options, reason) => {
    const webhook = await givenWebhook();

    const verified = verifyWebhook(
      { headers: { ...webhook.headers, ...headers }, body: body ?? webhook.body },
      { secret, nowMs, ...options },
    );

    await expect(verified).rejects.toMatchObject({ name: "WebhookError", reason });
  });

  test("that is signed but not JSON is refused", async () => {
    const headers = await signWebhook({ ...message, body: "<html>" }, secret);

    await expect(verifyWebhook({ headers, body: "<html>" }, { secret, nowMs })).rejects.toMatchObject({
      reason: "not_json",
    });
  });

  test.each(["", "whsec_", "whsec_%%%", "strait_live_key"])("cannot be checked with %j for a secret", async (wrong) => {
    await expect(verifyWebhook(await givenWebhook(), { secret: wrong, nowMs })).rejects.toThrow(TypeError);
  });
});
