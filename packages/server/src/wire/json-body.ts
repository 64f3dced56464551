import { unsupportedCharset, unsupportedMediaType, validationError } from "../domain/errors.ts";
import { findUnsafeInteger } from "./unsafe-integer.ts";

/**
 * Reads the text of a request's body.
 *
 * @param contentType - Of the request, if it has one; it does not matter where the body is empty.
 * @returns Undefined where no body was sent and none is required.
 * @throws {StraitError} `unsupported_media_type`, `validation_error`.
 */
export function parseBody(text: string, contentType: string | undefined, isRequired: boolean): unknown {
  if (text === "") {
    if (!isRequired) return undefined;
    throw validationError([{ field: "", rule: "required", fix: "send a JSON body" }]);
  }
  const [, media, charset = "utf-8"] = JSON_TYPE.exec(contentType ?? "") ?? [];
  if (media === undefined) throw unsupportedMediaType(contentType);
  if (!/^utf-?8$/i.test(charset)) throw unsupportedCharset(charset);
  const value = parsed(text);
  const field = findUnsafeInteger(text, value);
  if (field !== undefined) {
    const fix = "send it as a string: an integer beyond ±9007199254740991 would be rounded";
    throw validationError([{ field, rule: "safeInteger", fix }]);
  }
  return value;
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
