import type { Client as FetchClient, FetchResponse, MaybeOptionalInit, ParseAs } from "openapi-fetch";

/**
 * An openapi-fetch client that takes no fields which the contract does not have. openapi-fetch itself lets them pass: there
 * the compiler takes for the type of the input whatever is given.
 */
export interface PathsClient<Paths extends object> extends Pick<FetchClient<Paths>, Unused | "use" | "eject"> {
  readonly request: ForOpenapiFetch & RequestMethod<Paths>;
  readonly GET: ForOpenapiFetch & PathMethod<Paths, "get">;
  readonly POST: ForOpenapiFetch & PathMethod<Paths, "post">;
  readonly PATCH: ForOpenapiFetch & PathMethod<Paths, "patch">;
  readonly DELETE: ForOpenapiFetch & PathMethod<Paths, "delete">;
}

/** No path has them. The compiler finds the paths in their types where a client of openapi-fetch is wanted. */
type Unused = "PUT" | "OPTIONS" | "HEAD" | "TRACE";

type Method = "get" | "post" | "patch" | "delete";

type PathMethod<Paths, Name extends Method> = <Path extends PathWith<Paths, Name>, As extends ParseAs = "json">(
  url: Path,
  ...init: Init<Paths, Path, Name, As>
) => Promise<Answer<Paths, Path, Name, As>>;

type RequestMethod<Paths> = <Name extends Method, Path extends PathWith<Paths, Name>, As extends ParseAs = "json">(
  method: Name,
  url: Path,
  ...init: Init<Paths, Path, Name, As>
) => Promise<Answer<Paths, Path, Name, As>>;

/**
 * Makes a method one of openapi-fetch's to what takes those, such as openapi-react-query, although it takes less. It has
 * another `this` than any client, so that nobody calls it.
 */
type ForOpenapiFetch = (this: typeof nobody, ...input: never) => never;

declare const nobody: unique symbol;

type PathWith<Paths, Name extends Method> = {
  [Path in keyof Paths]: Name extends keyof Paths[Path] ? Path : never;
}[keyof Paths];

type Init<Paths, Path extends keyof Paths, Name extends Method, As> =
  undefined extends MaybeOptionalInit<Paths[Path], Name & keyof Paths[Path]>
    ? [init?: NonNullable<MaybeOptionalInit<Paths[Path], Name & keyof Paths[Path]>> & { readonly parseAs?: As }]
    : [init: MaybeOptionalInit<Paths[Path], Name & keyof Paths[Path]> & { readonly parseAs?: As }];

type Answer<Paths, Path extends keyof Paths, Name extends Method, As> = FetchResponse<
  Paths[Path][Name & keyof Paths[Path]] & object,
  { parseAs: As },
  `${string}/${string}`
>;
