import * as z from "zod/mini";

/** A schema of `zod/mini` for values of a type of this package. It is a Standard Schema too. */
export type Schema<Value> = z.ZodMiniType<Value, Value>;

/** Gives a schema, which it makes when it is first asked for it. */
export type LazySchema<Value> = () => Schema<Value>;

export function lazy<Value>(make: () => Schema<Value>): LazySchema<Value> {
  let made: Schema<Value> | undefined;
  return () => {
    made ??= make();
    return made;
  };
}

/** Takes an absent field and one that is undefined, since JSON leaves both out; the types of the API know only the first. */
export function optional<Type extends z.core.SomeType>(type: Type): z.ZodMiniExactOptional<Type> {
  return z.optional(type) as z.ZodMiniType as z.ZodMiniExactOptional<Type>;
}

/** At most so many characters, counted as the server counts them: an emoji is one, though `length` says two. */
export function maxCharacters(limit: number): z.core.$ZodCheck<string> {
  return z.refine((text) => text.length <= limit || Array.from(text).length <= limit);
}
