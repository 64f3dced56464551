import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { bodiesOf, commandOf, readGuide } from "./guide.ts";
import { parseCurl } from "./send-command.ts";

/** The pages that the files come from, beside the repository where it is developed: elsewhere there is nothing to compare. */
const GUIDE = fileURLToPath(new URL("../../../../shared/seeds/000_697c32fce012605c.txt", import.meta.url));

describe.skipIf(!existsSync(GUIDE))("the files of guide/", () => {
  const text = existsSync(GUIDE) ? readFileSync(GUIDE, "utf8") : "";

  test.each(["send.sh", "send-prefix.sh", "stream.sh", "cancel.sh", "wait-for-event.py"])(
    "%s is the guide's text",
    (name) => {
      expect(text).toContain(readGuide(name));
    },
  );

  test.each(["kyc-onboarding.json", "prod-deploy.json"])("%s is the guide's JSON, laid out", (name) => {
    const guide = text.replace(/\s+/g, "");

    expect(guide).toContain(JSON.stringify(JSON.parse(readGuide(name))).replace(/\s+/g, ""));
  });
});

test("host and key are all that is replaced in a command", () => {
  const command = commandOf("stream.sh", { url: "http://127.0.0.1:8080", apiKey: "strait_1" });

  expect(command).toBe(
    'curl -N http://127.0.0.1:8080/v1/events/aml:user-456/stream \\\n-H "Authorization: Bearer strait_1"',
  );
});

test("a command is sent without curl as curl would send it", () => {
  const parsed = parseCurl(readGuide("send.sh"));

  expect(parsed).toEqual({
    method: "POST",
    url: "https://strait.dev/v1/events/aml:user-456/send",
    headers: { Authorization: "Bearer strait_...", "Content-Type": "application/json" },
    body: '{"payload": {"result": "clear", "risk_score": 0.05}}',
  });
});

test("the bodies of the Python requests are JSON", () => {
  const bodies = bodiesOf("wait-for-event.py", { document_id: "doc-7" });

  expect(bodies).toEqual({
    progress: { percent: 50, message: "Waiting for manual review" },
    "wait-for-event": {
      event_key: "review:doc-7",
      timeout_secs: 172800,
      notify_url: "https://myapp.com/webhook/review-ready",
    },
  });
});
