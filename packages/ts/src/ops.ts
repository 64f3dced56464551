export { connect } from "./connect.ts";
// What there is, is decided by openapi/.
export * from "./generated/ops.ts";
export type { ClientOptions } from "./options.ts";
export type { Connection } from "./runtime.ts";
export { isStraitError } from "./status-errors.ts";
