import { foreignCursor } from "../domain/request-rules.ts";
import type { StreamSource } from "./stream-source.ts";

/** How much of the database's epoch stands in a cursor. */
const LIFE_LENGTH = 8;

/** @param life - The epoch of the database: in another life of it, positions mean something else. */
export function encodeCursor(name: string, life: string, position: string): string {
  return Buffer.from(`${name}|${life.slice(0, LIFE_LENGTH)}|${position}`).toString("base64url");
}

/**
 * @param field - Where the request has the cursor.
 * @returns The position, and whether it was given in this life.
 * @throws {StraitError} `validation_error` for a cursor of another stream, or of none.
 */
export function decodeCursor(
  { name, positions }: Pick<StreamSource, "name" | "positions">,
  currentLife: string,
  cursor: string,
  field: string,
): { readonly position: string; readonly isOfThisLife: boolean } {
  const [given, life, position, ...rest] = Buffer.from(cursor, "base64url").toString().split("|");
  if (given !== name || life === undefined || position === undefined || rest.length > 0 || !positions.test(position)) {
    throw foreignCursor(field);
  }
  return { position, isOfThisLife: life === currentLife.slice(0, LIFE_LENGTH) };
}
