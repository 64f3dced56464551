import { IncomingMessage } from "node:http";
import { Readable } from "node:stream";
import { payloadTooLarge, unsupportedCoding, validationError } from "../domain/errors.ts";
import { parseBody } from "../wire/json-body.ts";
import type { RequestHeaders } from "./request-headers.ts";

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Reads a JSON body, at most `maxBytes` of it.
 *
 * @returns The value and its text; undefined and "" where no body was sent and none is required.
 * @throws {StraitError} `payload_too_large`, `unsupported_media_type`, `validation_error`.
 */
export async function readBody(
  source: IncomingMessage | Request,
  header: RequestHeaders,
  isRequired: boolean,
  maxBytes: number,
): Promise<{ value: unknown; text: string }> {
  const coding = header("content-encoding");
  if (coding !== undefined && coding !== "" && coding.toLowerCase() !== "identity") throw unsupportedCoding(coding);
  // A body that does not say how long it is, is counted as it comes.
  if (Number(header("content-length")) > maxBytes) throw payloadTooLarge("body", maxBytes);
  const text = decoded(
    await bytesOf(source instanceof IncomingMessage ? source : Readable.from(source.body ?? []), maxBytes),
  );
  return { value: parseBody(text, header("content-type"), isRequired), text };
}

/** Node's own message is read as it is: a web stream around it costs more than what it carries. */
function bytesOf(message: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Gone while the credentials were looked at: nothing more will be told of it.
    if (message.destroyed && !message.readableEnded) throw validationError([INCOMPLETE]);
    const chunks: Buffer[] = [];
    let bytes = 0;
    const take = (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      // Nothing more is kept of it: the server reads on for a while, and no longer.
      message.off("data", take);
      message.pause();
      reject(payloadTooLarge("body", maxBytes));
    };
    message.on("data", take);
    let isComplete = false;
    message.once("end", () => {
      isComplete = true;
      const [only] = chunks;
      resolve(only !== undefined && chunks.length === 1 ? only : Buffer.concat(chunks));
    });
    // A client that goes away in the middle of its body is no fault of the server.
    const fail = () => {
      if (!isComplete) reject(validationError([INCOMPLETE]));
    };
    message.once("error", fail);
    message.once("close", fail);
  });
}

const INCOMPLETE = { field: "", rule: "complete", fix: "send as many bytes as Content-Length announces" };

/** Strict, since a replacement character would be stored for what was sent. */
function decoded(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw validationError([{ field: "", rule: "utf8", fix: "encode the body as UTF-8" }]);
  }
}
