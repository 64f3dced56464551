import {
  docComment,
  type GeneratedFile,
  importTypes,
  lowerFirst,
  propertyName,
  typescriptFile,
  upperFirst,
} from "./emit.ts";
import type { OpenApiDocument, Operation, Schema, Spec } from "./spec.ts";
import { directions, reachable, schemaName } from "./type-source.ts";
import type { DocumentTypes } from "./types.ts";

/**
 * The schemas of `@strait/ts` for zod/mini, each of the type of the same name.
 *
 * What a server answers is checked for its shape alone, so that a field, a value or a size that a later server adds is no
 * error. What only requests take is held to everything that the contract says.
 *
 * @param document - As `withOpenAnswers` gives it.
 * @param types - Those of the same document.
 */
export function zodFile(spec: Spec, document: OpenApiDocument, types: DocumentTypes, path: string): GeneratedFile {
  const writer = new Writer(document);
  const names = new Set(types.schemas.keys());
  const schemas = [...types.schemas.keys()].map((name) => {
    const schema = document.components.schemas[name] ?? {};
    return `${docComment(schema.description)}export const ${constant(name)}: LazySchema<${name}> = /* @__PURE__ */ lazy(() => ${writer.named(name)});\n`;
  });
  const results: string[] = [];
  const answers = spec.operations.flatMap((operation) => {
    const bodies = successBodies(operation);
    if (bodies.length === 0) return [];
    const name = bodies.length === 1 ? schemaName(bodies[0]?.$ref) : undefined;
    if (name) return [`  ${operation.id}: ${constant(name)},\n`];
    const result = `${upperFirst(operation.id)}Result`;
    results.push(result);
    return [`  ${operation.id}: /* @__PURE__ */ lazy<${result}>(() => ${writer.union(bodies)}),\n`];
  });
  return typescriptFile(
    path,
    `import * as z from "zod/mini";
import { type LazySchema, lazy, maxCharacters, optional } from "../lazy-schema.ts";
${importTypes(results, "./client-types.ts")}${importTypes(names, "./types.ts")}`,
    ...schemas,
    `/** The schema of what each operation answers, or of what each event of a stream holds. */
export const answerSchemas = {
${answers.join("")}};
`,
  );
}

/** The name of the constant that holds a schema: `eventTriggerSchema`. */
function constant(name: string): string {
  return `${lowerFirst(name)}Schema`;
}

/** The bodies that an operation answers a success with, or what the events of its stream hold; each once. */
function successBodies({ successes }: Operation): Schema[] {
  const bodies = successes.flatMap(({ media, schema }) => {
    const body = media === "sse" ? (schema?.contentSchema as Schema | undefined) : schema;
    if (!body) return [];
    return (body.oneOf as readonly Schema[] | undefined) ?? [body];
  });
  return [...new Map(bodies.map((body) => [JSON.stringify(body), body])).values()];
}

/** How zod checks what JSON Schema says about the size of a value. */
const LIMITS: Readonly<Record<string, (limit: never) => string>> = {
  minLength: (limit: number) => `z.minLength(${limit})`,
  maxLength: (limit: number) => `maxCharacters(${limit})`,
  pattern: (limit: string) => `z.regex(${new RegExp(limit, "u")})`,
  minimum: (limit: number) => `z.gte(${limit})`,
  maximum: (limit: number) => `z.lte(${limit})`,
  minItems: (limit: number) => `z.minLength(${limit})`,
  maxItems: (limit: number) => `z.maxLength(${limit})`,
  uniqueItems: () => "z.refine((items) => new Set(items).size === items.length)",
  minProperties: (limit: number) => `z.refine((object) => Object.keys(object).length >= ${limit})`,
  maxProperties: (limit: number) => `z.refine((object) => Object.keys(object).length <= ${limit})`,
  not: ({ enum: values }: { enum: string[] }) => `z.refine((text) => !${JSON.stringify(values)}.includes(text))`,
};

class Writer {
  readonly #schemas: OpenApiDocument["components"]["schemas"];
  /** The schemas that only requests take. */
  readonly #requests: ReadonlySet<string>;

  constructor(document: OpenApiDocument) {
    const { sent, received } = directions(document);
    this.#schemas = document.components.schemas;
    this.#requests = new Set([...sent].filter((name) => !received.has(name)));
  }

  named(name: string): string {
    return this.#expression(this.#schemas[name] ?? {}, { owner: name, isStrict: this.#requests.has(name) });
  }

  union(bodies: readonly Schema[]): string {
    return this.#union(bodies, { owner: "", isStrict: false });
  }

  #expression(schema: Schema, place: Place): string {
    const { nullable, type } = kindOf(schema);
    const inner = this.#value(schema, type, place);
    return nullable ? `z.nullable(${inner})` : inner;
  }

  #value(schema: Schema, type: string | undefined, place: Place): string {
    const name = schemaName(schema.$ref);
    if (name) return this.#reference(name, place);
    if ("const" in schema) return `z.literal(${JSON.stringify(schema.const)})`;
    if (schema.enum) return `z.enum(${JSON.stringify(schema.enum.filter((value) => value !== null))})`;
    const { allOf, oneOf, anyOf } = schema as Readonly<Record<string, readonly Schema[] | undefined>>;
    const branches = oneOf ?? anyOf;
    if (branches) return this.#union(branches, place);
    if (allOf) {
      return allOf
        .map((part) => this.#expression(part, place))
        .reduce((left, right) => `z.intersection(${left}, ${right})`);
    }
    const value = this.#typed(schema, type, place);
    if (!place.isStrict) return value;
    const limits = Object.entries(LIMITS).flatMap(([keyword, write]) =>
      schema[keyword] === undefined ? [] : [write(schema[keyword] as never)],
    );
    return limits.length === 0 ? value : `${value}.check(${limits.join(", ")})`;
  }

  #typed(schema: Schema, type: string | undefined, place: Place): string {
    switch (type) {
      case "string":
        return "z.string()";
      case "integer":
        return place.isStrict ? "z.int()" : "z.number()";
      case "number":
        return "z.number()";
      case "boolean":
        return "z.boolean()";
      case "array":
        return `z.array(${this.#expression((schema.items ?? {}) as Schema, place)})`;
      case "object":
        return this.#object(schema, place);
      case undefined:
        return place.isStrict ? "z.unknown()" : "z.any()";
      default:
        throw new Error(`zod: no schema for the type ${type}`);
    }
  }

  #object(schema: Schema, place: Place): string {
    const { properties, additionalProperties: others, propertyNames } = schema;
    if (!properties && typeof others === "object") {
      const key = this.#expression({ type: "string", ...(propertyNames as object) }, place);
      return `z.record(${key}, ${this.#expression(others as Schema, place)})`;
    }
    if (!properties && others !== false) return `z.record(z.string(), ${place.isStrict ? "z.unknown()" : "z.any()"})`;
    const required = new Set(schema.required as readonly string[] | undefined);
    const members = Object.entries(properties ?? {}).map(([name, property]) => {
      const inner = this.#expression(property, { ...place, isMember: true });
      const value = required.has(name) ? inner : `optional(${inner})`;
      if (!this.#nests(property, place)) return `${propertyName(name)}: ${value},\n`;
      return `get ${propertyName(name)}() {\nreturn ${value};\n},\n`;
    });
    const shape = `{\n${indented(members.join(""))}}`;
    if (typeof others === "object") {
      return `z.catchall(z.object(${shape}), ${this.#expression(others as Schema, place)})`;
    }
    return `z.${place.isStrict && others === false ? "strictObject" : "looseObject"}(${shape})`;
  }

  #union(branches: readonly Schema[], place: Place): string {
    const others = branches.filter((branch) => branch.type !== "null");
    const isNullable = others.length < branches.length;
    // Any other text is part of an open enum, whose values then say nothing.
    const open = others.find((branch) => branch.type === "string" && !("enum" in branch) && !branch.pattern);
    const expressions = (open && !place.isStrict ? [open] : others).map((branch) => this.#expression(branch, place));
    const [only = "z.null()", ...more] = expressions;
    const value = more.length === 0 ? only : `z.union([${expressions.join(", ")}])`;
    return isNullable ? `z.nullable(${value})` : value;
  }

  #reference(name: string, place: Place): string {
    const target = this.#schemas[name] ?? {};
    // What answers hold too is checked for its shape alone, so a request has its own copy.
    if (place.isStrict && !this.#requests.has(name)) return this.#expression(target, place);
    if (place.isMember || !this.#leadsBack(name, place)) return `${constant(name)}()`;
    return `z.lazy(() => ${constant(name)}())`;
  }

  /** Whether a property holds something of the kind that it is part of. */
  #nests(property: Schema, place: Place): boolean {
    let found = false;
    JSON.stringify(property, (key, value: unknown) => {
      const name = key === "$ref" ? schemaName(value) : undefined;
      found ||= name !== undefined && this.#leadsBack(name, place);
      return value;
    });
    return found;
  }

  #leadsBack(name: string, { owner }: Place): boolean {
    return name === owner || reachable(this.#schemas, this.#schemas[name]).has(owner);
  }
}

/** Where an expression stands. */
interface Place {
  /** The schema that is being made. */
  readonly owner: string;
  /** Whether limits count, enums are closed and unknown fields are refused. */
  readonly isStrict: boolean;
  /** Stands in a property, which may be a getter. */
  readonly isMember?: boolean;
}

function kindOf({ type }: Schema): { nullable: boolean; type: string | undefined } {
  if (!Array.isArray(type)) return { nullable: false, type: type as string | undefined };
  const [only, ...more] = type.filter((each) => each !== "null");
  if (more.length > 0) throw new Error(`zod: no schema for the types ${type}`);
  return { nullable: type.includes("null"), type: only };
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
