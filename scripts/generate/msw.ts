import type { GeneratedFile } from "./emit.ts";
import type { Spec } from "./spec.ts";
import type { DocumentTypes } from "./types.ts";

/** The generated files of `@strait/msw`. */
export function mswFiles(_spec: Spec, _types: DocumentTypes): GeneratedFile[] {
  return [];
}
