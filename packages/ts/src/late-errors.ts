import { AbortError, ConnectionError, DecodeError, ProtocolError, TimeoutError, ValidationError } from "./errors.ts";

/**
 * The classes of errors for what the root loads later, which takes them as an argument. If it imported them, it would depend
 * on the file that loads it, and a bundler that makes one file of both would wrap the whole of it in a function.
 */
export const lateErrors = { AbortError, ConnectionError, DecodeError, ProtocolError, TimeoutError, ValidationError };

export type LateErrors = typeof lateErrors;
