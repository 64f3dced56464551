export { createValidator, type ValidatorOptions } from "./create-validator.ts";
export * from "./generated/schemas.ts";
export type { LazySchema, Schema } from "./lazy-schema.ts";
