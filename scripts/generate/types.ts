import openapiTS, { astToString, type OpenAPI3 } from "openapi-typescript";
import ts from "typescript";
import { docComment, withoutEllipses } from "./emit.ts";
import type { OpenApiDocument, Operation } from "./spec.ts";
import { ANY_JSON, ANY_OTHER_TEXT } from "./type-source.ts";

/** The types of one operation as TypeScript source. */
export interface OperationTypes {
  /** Undefined when the operation has none. */
  readonly path: string | undefined;
  readonly query: string | undefined;
  readonly headers: string | undefined;
  readonly body: string | undefined;
  /** By status; undefined when the answer has no JSON body. */
  readonly answers: ReadonlyMap<number, string | undefined>;
  /** The schemas named by any of these. */
  readonly names: ReadonlySet<string>;
}

/** The types of a document as TypeScript source. Schemas are called by their names, as in `Job[]`. */
export interface DocumentTypes {
  /** `export interface Job { … }` and the like, in the order of the document. */
  readonly schemas: ReadonlyMap<string, string>;
  readonly operations: ReadonlyMap<string, OperationTypes>;
  /** `paths`, `components` and `operations` in the form of openapi-typescript, which openapi-fetch takes. */
  readonly openapi: string;
}

/** @param document - As `typeSource` or `withOpenAnswers` gives it. */
export async function renderTypes(document: OpenApiDocument): Promise<DocumentTypes> {
  const nodes = await openapiTS(document as unknown as OpenAPI3, {
    silent: true,
    defaultNonNullable: false,
    transform: (schema) => {
      if (ANY_OTHER_TEXT in schema) return anyOtherText();
      return ANY_JSON in schema ? anyJson(String(schema[ANY_JSON])) : undefined;
    },
  });

  // `webhooks` and `$defs` are always there and always empty.
  const declarations = nodes
    .filter(ts.isDeclarationStatement)
    .filter(({ name }) => !isNamed(name, ["webhooks", "$defs"]));
  const roots = declarations.filter(ts.isInterfaceDeclaration);
  const components = members(roots.find(({ name }) => name.text === "components"));
  const operations = members(roots.find(({ name }) => name.text === "operations"));
  const schemas = members(components.get("schemas"));
  return {
    schemas: new Map(
      [...schemas].map(([name, node]) => [
        name,
        declaration(name, node, document.components.schemas[name]?.description),
      ]),
    ),
    operations: new Map([...operations].map(([id, node]) => [id, typesOfOperation(members(node))])),
    openapi: declarations.map(openapiSource).join("\n"),
  };
}

function typesOfOperation(operation: ReadonlyMap<string, ts.TypeNode>): OperationTypes {
  const parameters = members(operation.get("parameters"));
  const body = jsonBody(operation.get("requestBody"));
  const answers = [...members(operation.get("responses"))].map(
    ([status, node]) => [Number(status), jsonBody(node)] as const,
  );

  const names = new Set<string>();
  const used = [parameters.get("path"), parameters.get("query"), parameters.get("header"), body];
  for (const node of [...used, ...answers.filter(([status]) => status < 300).map(([, node]) => node)]) {
    if (node) collectNames(node, names);
  }
  return {
    path: typeText(parameters.get("path")),
    query: typeText(parameters.get("query")),
    headers: typeText(parameters.get("header")),
    body: typeText(body),
    answers: new Map(answers.map(([status, node]) => [status, typeText(node)])),
    names,
  };
}

function jsonBody(node: ts.TypeNode | undefined): ts.TypeNode | undefined {
  return members(members(node).get("content")).get("application/json");
}

/** The properties of an interface or a type literal, by name. */
function members(node: ts.Node | undefined): Map<string, ts.TypeNode> {
  const found = new Map<string, ts.TypeNode>();
  if (!node || !(ts.isInterfaceDeclaration(node) || ts.isTypeLiteralNode(node))) return found;
  for (const member of node.members) {
    if (!ts.isPropertySignature(member) || !member.type) continue;
    if (ts.isIdentifier(member.name) || ts.isStringLiteral(member.name) || ts.isNumericLiteral(member.name)) {
      found.set(member.name.text, member.type);
    }
  }
  return found;
}

/** The name of `components["schemas"]["Job"]`. */
function schemaReference(node: ts.Node): string | undefined {
  if (!ts.isIndexedAccessTypeNode(node) || !ts.isIndexedAccessTypeNode(node.objectType)) return undefined;
  return literalText(node.objectType.indexType) === "schemas" ? literalText(node.indexType) : undefined;
}

function isNamed(name: ts.Node | undefined, names: readonly string[]): boolean {
  return name !== undefined && ts.isIdentifier(name) && names.includes(name.text);
}

function literalText(node: ts.TypeNode): string | undefined {
  return ts.isLiteralTypeNode(node) && ts.isStringLiteral(node.literal) ? node.literal.text : undefined;
}

/** Keeps the union with literals from collapsing into `string`, so that an editor still offers them. */
function anyOtherText(): ts.TypeNode {
  return ts.factory.createParenthesizedType(
    ts.factory.createIntersectionTypeNode([
      ts.factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
      ts.factory.createTypeLiteralNode([]),
    ]),
  );
}

/** A type of that name which a program can look into, unlike `unknown`. */
function anyJson(name: string): ts.TypeNode {
  const { factory } = ts;
  const own = factory.createTypeReferenceNode(name);
  const key = factory.createParameterDeclaration(
    undefined,
    undefined,
    "key",
    undefined,
    factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
  );
  return factory.createUnionTypeNode([
    factory.createKeywordTypeNode(ts.SyntaxKind.StringKeyword),
    factory.createKeywordTypeNode(ts.SyntaxKind.NumberKeyword),
    factory.createKeywordTypeNode(ts.SyntaxKind.BooleanKeyword),
    factory.createLiteralTypeNode(factory.createNull()),
    factory.createArrayTypeNode(own),
    factory.createTypeLiteralNode([factory.createIndexSignature(undefined, [key], own)]),
  ]);
}

function declaration(name: string, node: ts.TypeNode, description: string | undefined): string {
  const modifiers = [ts.factory.createModifier(ts.SyntaxKind.ExportKeyword)];
  const declared = ts.isTypeLiteralNode(node)
    ? ts.factory.createInterfaceDeclaration(modifiers, name, undefined, undefined, node.members)
    : ts.factory.createTypeAliasDeclaration(modifiers, name, undefined, node);
  return docComment(description) + source(declared);
}

function collectNames(node: ts.Node, names: Set<string>): void {
  const name = schemaReference(node);
  if (name) names.add(name);
  node.forEachChild((child) => collectNames(child, names));
}

/** Undefined for `never`, which is how openapi-typescript says that there is nothing. */
function typeText(node: ts.TypeNode | undefined): string | undefined {
  if (!node || node.kind === ts.SyntaxKind.NeverKeyword) return undefined;
  const printed = source(ts.factory.createTypeAliasDeclaration(undefined, "T", undefined, node));
  return printed.replace(/^type T = /, "").replace(/;\n$/, "");
}

/** Prints as this repository writes: two spaces, schemas by their names, a description as a sentence rather than a tag. */
function source(node: ts.Node): string {
  return printed(node)
    .replace(/components\["schemas"\]\["(\w+)"\]/g, "$1")
    .replace(OPEN_ENUM, "$1 | (string & {})");
}

/** The same for openapi-fetch, whose types take `string & {}` for an object: there an open enum is any text. */
function openapiSource(node: ts.Node): string {
  return printed(node).replace(OPEN_ENUM, "string");
}

const OPEN_ENUM = /\(?((?:(?:"[^"]*"|null) \| )*(?:"[^"]*"|null))\)? \| \(string & \{ ?\}\)/g;

function printed(node: ts.Node): string {
  return astToString(node)
    .replace(/^(?: {4})+/gm, (spaces) => " ".repeat(spaces.length / 2))
    .replace(/^( *\*) {5}(?=\S)/gm, "$1 ")
    .replace(/^( *(?:\/\*)?\*) @description /gm, "$1 ")
    .replace(/^ *(?:\/\*)?\* .*$/gm, withoutEllipses);
}

/** Indents every line of `text` but the first, so that it can stand inside something. */
export function nested(text: string, indent: string): string {
  return text.replaceAll("\n", `\n${indent}`);
}

/** A type for a table: without comments, and on one line where that is short. Its other lines stand inside a member. */
export function compact(type: string): string {
  const plain = type.replace(/\/\*\*[\s\S]*?\*\/\n\s*/g, "");
  const inline = plain.replace(/;\n\s*\}/g, " }").replace(/\n\s*/g, " ");
  return inline.length <= 90 ? inline : nested(plain, "    ");
}

/** The types of an operation; all of them were rendered, so one that is missing is a mistake of the generator. */
export function operationTypes(types: DocumentTypes, { id }: Operation): OperationTypes {
  const found = types.operations.get(id);
  if (!found) throw new Error(`no types were rendered for ${id}`);
  return found;
}
