import { type Checked, invalid, valid } from "./checked.ts";

/** The longest event key, in characters (code points) after NFC. */
export const MAX_EVENT_KEY_LENGTH = 512;

/** `.` and `..` are swallowed by URLs; the others are routes beside `/v1/events/{eventKey}`. */
const reserved: ReadonlySet<string> = new Set([".", "..", "stats", "purge", "dispatch", "prefix"]);

/** C0, DEL and C1; with the `u` flag `\p{Cs}` means a surrogate without its other half. */
const CONTROL = /\p{Cc}/u;
const LONE_SURROGATE = /\p{Cs}/u;

/**
 * Checks an event key and brings it into the one form in which keys are stored and compared: Unicode NFC.
 *
 * Keys have 1 to 512 characters and no control characters. `:`, `/`, `%`, spaces and non-ASCII letters are ordinary
 * characters; in a URL they are percent-encoded.
 *
 * @returns The key in NFC, or the problem.
 */
export function checkEventKey(text: string): Checked<string> {
  const checked = checkEventKeyPrefix(text);
  if (checked.ok && reserved.has(checked.value)) {
    const key = checked.value;
    return invalid("reserved", `add a namespace, such as "batch:${key}"; "${key}" alone is not a key`);
  }
  return checked;
}

/**
 * The first text behind all that begin with `prefix`, in the order of their UTF-8 bytes, which is that of their code
 * points: with it, "begins with" is a range that an index can read.
 *
 * @returns Undefined when no text lies behind: the prefix is made of the last code point alone.
 */
export function endOfPrefix(prefix: string): string | undefined {
  const points = [...prefix];
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const next = Number(last.codePointAt(0)) + 1;
    // Surrogates are no characters, so they have no bytes.
    if (next <= 0x10ffff) return points.join("") + String.fromCodePoint(next === 0xd800 ? 0xe000 : next);
  }
  return undefined;
}

/**
 * Checks the beginning of event keys, in the same way and form. A word that is no key by itself may begin one.
 *
 * @returns The prefix in NFC, or the problem.
 */
export function checkEventKeyPrefix(text: string): Checked<string> {
  if (text === "") return invalid("minLength", 'name what is awaited, such as "kyc:user-123"');
  // NFC can shorten a text, but by no more than a factor of four, so a longer one is not worth normalizing.
  const key = text.length > 8 * MAX_EVENT_KEY_LENGTH ? text : text.normalize("NFC");
  if (isTooLong(key)) {
    return invalid("maxLength", `use at most ${MAX_EVENT_KEY_LENGTH} characters, for instance a hash of the long part`);
  }
  if (CONTROL.test(key)) {
    return invalid(
      "controlCharacters",
      "remove line breaks, tabs and other control characters (below U+0020, U+007F to U+009F)",
    );
  }
  if (LONE_SURROGATE.test(key)) return invalid("wellFormed", "remove the half of a surrogate pair");
  return valid(key);
}

/** Counts code points only where the cheap count, which is never smaller, does not already decide. */
function isTooLong(key: string): boolean {
  return (
    key.length > MAX_EVENT_KEY_LENGTH &&
    (key.length > 2 * MAX_EVENT_KEY_LENGTH || [...key].length > MAX_EVENT_KEY_LENGTH)
  );
}
