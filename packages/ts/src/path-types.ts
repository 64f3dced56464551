/** A body, in the form of openapi-typescript. */
export interface Content<Body> {
  content: { "application/json": Body };
}

/** An answer of JSON, in the form of openapi-typescript. */
export interface JsonAnswer<Body> extends AnyHeaders {
  content: { "application/json": WithAnyText<Body> };
}

/** An answer whose events come as they happen, in the form of openapi-typescript. */
export interface EventStreamAnswer extends AnyHeaders {
  content: { "text/event-stream": string };
}

/** An answer without a body, in the form of openapi-typescript. */
export interface NoContentAnswer extends AnyHeaders {
  content?: never;
}

interface AnyHeaders {
  headers: { [name: string]: unknown };
}

/** The same with any text in the place of each open enum, whose `string & {}` openapi-fetch takes for an object. */
type WithAnyText<Value> = Value extends string
  ? string extends Value
    ? string
    : Value
  : Value extends (infer Item)[]
    ? WithAnyText<Item>[]
    : Value extends object
      ? { [Name in keyof Value]: WithAnyText<Value[Name]> }
      : Value;
