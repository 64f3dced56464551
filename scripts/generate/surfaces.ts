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

/**
 * An interface per credential. Operations that accept the same credentials stand in one interface, from which those of
 * the credentials extend: each signature is written once, and an editor resolves it without computing a type.
 */
export function surfaceInterfaces(all: readonly Operation[], surface: Surface): string[] {
  const groups = new Map<string, { auth: readonly Credential[]; operations: Operation[] }>();
  for (const operation of all.filter(surface.has)) {
    const name = `${groupName(operation.auth)}${surface.name}`;
    const group = groups.get(name) ?? { auth: operation.auth, operations: [] };
    group.operations.push(operation);
    groups.set(name, group);
  }
  const shared = [...groups].sort(([left], [right]) => byName(left, right));
  const interfaces = shared.map(([name, { auth, operations }]) => {
    const comment = docComment(
      auth.length === 0
        ? `The ${surface.what} that need no credential.`
        : `The ${surface.what} that accept ${auth.join(" or ")}, and nothing else.`,
    );
    const methods = operations.map((operation) => method(operation, surface));
    return `${comment}export interface ${name} {\n${methods.join("")}}\n`;
  });
  const byCredential = CREDENTIALS.map((credential) => {
    const bases = shared.filter(([, { auth }]) => auth.length === 0 || auth.includes(credential)).map(([name]) => name);
    const comment = docComment(`The ${surface.what} that a client with the credential \`${credential}\` can call.`);
    const heritage = bases.length === 0 ? "" : ` extends ${bases.join(", ")}`;
    return `${comment}export interface ${upperFirst(credential)}${surface.name}${heritage} {}\n`;
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
