import { messageOf } from "./message-of.ts";
import type { Refuse } from "./options.ts";

/** Puts the values into a path. @throws {ValidationError} When one of them would lead elsewhere. */
export function buildPath(refuse: Refuse, path: string, params: object | undefined): string {
  const values = params as Readonly<Record<string, unknown>> | undefined;
  return path.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values?.[name];
    const field = `pathParams.${name}`;
    if ((typeof value === "string" || typeof value === "number") && !/^\.{0,2}$/.test(`${value}`)) {
      return encode(refuse, field, encodeURIComponent, value);
    }
    throw refuse(field, 'must be a text other than "", "." and "..", which lead to another operation');
  });
}

/** An array repeats its name; what is undefined or null is left out. */
export function buildQuery(refuse: Refuse, query: object | undefined): string {
  let text = "";
  for (const [name, value] of Object.entries(query ?? {})) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === null) continue;
      text += `${text ? "&" : "?"}${encodeURIComponent(name)}=${encode(refuse, `query.${name}`, encodeURIComponent, item)}`;
    }
  }
  return text;
}

/** What cannot be written as text: half of a surrogate pair in a URL, a cycle or a bigint in a body. */
export function encode<Value>(refuse: Refuse, field: string, write: (value: Value) => string, value: Value): string {
  try {
    return write(value);
  } catch (error) {
    throw refuse(field, `cannot be sent: ${messageOf(error)}`);
  }
}

/** Sees to the `Idempotency-Key` of a POST. False means that a repetition of the request would not be safe. */
export function addIdempotencyKey(
  refuse: Refuse,
  method: string,
  headers: Record<string, string>,
  key: string | false | undefined,
): boolean {
  if (method !== "POST") return method !== "PATCH";
  const name = "idempotency-key";
  if ((headers[name] ?? headers[`x-${name}`]) !== undefined) return true;
  if (key === false) return false;
  const value = key ?? newKey();
  if (!/^[\x20-\x7e]{1,256}$/.test(value)) {
    throw refuse("idempotencyKey", "must be 1 to 256 printable ASCII characters, or false");
  }
  headers[name] = value;
  return true;
}

function newKey(): string {
  // Not randomUUID, which browsers have only on secure origins: a server on the local network is none.
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
