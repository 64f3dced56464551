import { once } from "node:events";
import { IncomingMessage } from "node:http";
import { Socket } from "node:net";
import { describe, expect, it } from "vitest";
import { readBody } from "./body.ts";

const header = (name: string) => (name === "content-length" ? "10" : undefined);

describe("readBody", () => {
  it("refuses the body of a client that went away before anybody read it, rather than wait for it for ever", async () => {
    const message = new IncomingMessage(new Socket());
    message.destroy();
    await once(message, "close");

    const read = readBody(message, header, true, 1_000);

    await expect(read).rejects.toMatchObject({ code: "validation_error" });
  });
});
