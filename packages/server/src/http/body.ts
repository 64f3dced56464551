import { payloadTooLarge, StraitError, unsupportedCoding, validationError } from "../domain/errors.ts";
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
  request: Request,
  header: RequestHeaders,
  isRequired: boolean,
  maxBytes: number,
): Promise<{ value: unknown; text: string }> {
  const coding = header("content-encoding");
  if (coding !== undefined && coding !== "" && coding.toLowerCase() !== "identity") throw unsupportedCoding(coding);
  const text = await readText(request, header, maxBytes).catch(unread);
  return { value: parseBody(text, header("content-type"), isRequired), text };
}

/** A client that goes away in the middle of its body is no fault of the server. */
function unread(error: unknown): never {
  if (error instanceof StraitError) throw error;
  throw validationError([{ field: "", rule: "complete", fix: "send as many bytes as Content-Length announces" }]);
}

async function readText(request: Request, header: RequestHeaders, maxBytes: number): Promise<string> {
  const announced = header("content-length");
  if (announced !== undefined) {
    if (Number(announced) > maxBytes) throw payloadTooLarge("body", maxBytes);
    return decoded(await request.arrayBuffer());
  }
  // Of unknown length: counted as it comes.
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of request.body ?? []) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw payloadTooLarge("body", maxBytes);
    chunks.push(chunk);
  }
  return decoded(Buffer.concat(chunks));
}

/** Strict, since a replacement character would be stored for what was sent. */
function decoded(bytes: ArrayBuffer | Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw validationError([{ field: "", rule: "utf8", fix: "encode the body as UTF-8" }]);
  }
}
