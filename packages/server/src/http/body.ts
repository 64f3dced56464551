import {
  payloadTooLarge,
  StraitError,
  unsupportedCharset,
  unsupportedCoding,
  unsupportedMediaType,
  validationError,
} from "../domain/errors.ts";
import type { RequestHeaders } from "./request-headers.ts";
import { findUnsafeInteger } from "./unsafe-integer.ts";

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
  if (text === "") {
    if (!isRequired) return { value: undefined, text };
    throw validationError([{ field: "", rule: "required", fix: "send a JSON body" }]);
  }
  const type = header("content-type");
  const [, media, charset = "utf-8"] = JSON_TYPE.exec(type ?? "") ?? [];
  if (media === undefined) throw unsupportedMediaType(type);
  if (!/^utf-?8$/i.test(charset)) throw unsupportedCharset(charset);
  const value = parsed(text);
  const field = findUnsafeInteger(text, value);
  if (field !== undefined) {
    const fix = "send it as a string: an integer beyond ±9007199254740991 would be rounded";
    throw validationError([{ field, rule: "safeInteger", fix }]);
  }
  return { value, text };
}

const JSON_TYPE = /^(application\/(?:json|[\w.-]+\+json))\s*(?:;\s*charset\s*=\s*"?([^\s;"]*)"?|;|$)/i;

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : "it cannot be parsed";
    throw validationError([{ field: "", rule: "json", fix: `send valid JSON: ${reason}` }]);
  }
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
