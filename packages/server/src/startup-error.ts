/**
 * Something outside the program keeps it from starting: a bad setting, a taken port, a database that does not answer.
 * The message says what, and what to do about it; it is all that a person needs to see, so no stack trace is printed.
 */
export class StartupError extends Error {
  override readonly name = "StartupError";
}
