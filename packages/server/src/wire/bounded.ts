/**
 * Runs code that a customer has a say in, such as the patterns of a schema, for at most `ms` milliseconds.
 *
 * @param code - What is run, as its text.
 * @param otherwise - What is returned when the time is over.
 */
export type Bounded = <Result, Otherwise>(
  ms: number,
  code: string,
  work: () => Result,
  otherwise: Otherwise,
) => Result | Otherwise;
