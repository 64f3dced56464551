import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { standardSignature, standardSignedContent, straitSignature, straitSignedContent } from "./signature.ts";

test("a message is laid out as Standard Webhooks verifies it", () => {
  // The example of the specification's reference libraries.
  const key = Buffer.from("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "base64");
  const content = standardSignedContent("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, '{"test": 2432232314}');
  const signature = standardSignature(createHmac("sha256", key).update(content).digest("base64"));
  expect(signature).toBe("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
});

test("a message is laid out as the original X-Strait-Signature has it", () => {
  expect(straitSignedContent(1_614_265_330, "{}")).toBe("1614265330.{}");
  expect(straitSignature("00ff")).toBe("v1=00ff");
});
