import { byName, docComment, upperFirst } from "./emit.ts";
import { CREDENTIALS, type Credential, type Operation } from "./spec.ts";

/** One of the ways to call operations, as an object of the client with a method per operation. */
export interface Surface {
  /** Ends the names of its interfaces. */
  readonly name: string;
  /** What its interfaces hold. */
  readonly what: string;
  has(operation: Operation): boolean;
  /** The signature behind the name of the method, given the operation's name in PascalCase. */
  signature(name: string, optional: string, operation: Operation): string;
}

/** Something that an interface holds, as source, for those who have one of the credentials; for anybody when there is none. */
export interface Member {
  readonly auth: readonly Credential[];
  readonly source: string;
}

/** An interface of methods per credential. */
export function surfaceInterfaces(all: readonly Operation[], surface: Surface): string[] {
  const members = all.filter(surface.has).map((operation) => ({
    auth: operation.auth,
    source: method(operation, surface),
  }));
  return interfacesByCredential(surface.name, surface.what, members);
}

/**
 * An interface per credential. Members that accept the same credentials stand in one interface, from which those of
 * the credentials extend: each is written once, and an editor resolves it without computing a type.
 *
 * @param name - Ends the names of the interfaces.
 * @param what - What they hold.
 */
export function interfacesByCredential(name: string, what: string, members: readonly Member[]): string[] {
  const groups = new Map<string, { auth: readonly Credential[]; sources: string[] }>();
  for (const { auth, source } of members) {
    const groupOf = `${groupName(auth)}${name}`;
    const group = groups.get(groupOf) ?? { auth, sources: [] };
    group.sources.push(source);
    groups.set(groupOf, group);
  }
  const shared = [...groups].sort(([left], [right]) => byName(left, right));
  const interfaces = shared.map(([group, { auth, sources }]) => {
    const comment = docComment(
      auth.length === 0
        ? `The ${what} that need no credential.`
        : `The ${what} that accept ${auth.join(" or ")}, and nothing else.`,
    );
    return `${comment}export interface ${group} {\n${sources.join("")}}\n`;
  });
  const byCredential = CREDENTIALS.map((credential) => {
    const bases = shared.filter(([, { auth }]) => auth.length === 0 || auth.includes(credential)).map(([base]) => base);
    const comment = docComment(`The ${what} that a client with the credential \`${credential}\` can call.`);
    const heritage = bases.length === 0 ? "" : ` extends ${bases.join(", ")}`;
    return `${comment}export interface ${upperFirst(credential)}${name}${heritage} {}\n`;
  });
  return [...interfaces, ...byCredential];
}

function groupName(auth: readonly Credential[]): string {
  return auth.length === 0 ? "Public" : `Only${auth.map(upperFirst).join("Or")}`;
}

function method(operation: Operation, surface: Surface): string {
  const title = /[.?!]$/.test(operation.summary) ? operation.summary : `${operation.summary}.`;
  const comment = docComment(`${title}\n\n${operation.description}`, "  ");
  const signature = surface.signature(upperFirst(operation.id), needsInput(operation) ? "" : "?", operation);
  return `${comment}  ${operation.id}${signature};\n`;
}

export function needsQuery({ queryParameters }: Operation): boolean {
  return queryParameters.some(({ required }) => required);
}

export function needsInput(operation: Operation): boolean {
  return operation.pathParameters.length > 0 || needsQuery(operation) || operation.body?.required === true;
}
