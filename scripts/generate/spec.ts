import { byName } from "./emit.ts";
import { operationIdProblems } from "./operation-id.ts";

/** A JSON Schema as the document holds it. */
export interface Schema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly example?: unknown;
  readonly examples?: readonly unknown[];
  readonly description?: string;
  readonly [keyword: string]: unknown;
}

interface MediaType {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, Referable<{ readonly value?: unknown }>>>;
}

interface ResponseObject {
  readonly description?: string;
  readonly content?: Readonly<Record<string, MediaType>>;
}

interface ParameterObject {
  readonly name: string;
  readonly in: "path" | "query" | "header" | "cookie";
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
  readonly example?: unknown;
}

interface RequestBodyObject {
  readonly required?: boolean;
  readonly content?: Readonly<Record<string, MediaType>>;
}

type Referable<Value> = Value | { readonly $ref: string };

interface OperationObject {
  readonly operationId?: string;
  readonly tags?: readonly string[];
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Referable<ParameterObject>[];
  readonly requestBody?: Referable<RequestBodyObject>;
  readonly responses?: Readonly<Record<string, Referable<ResponseObject>>>;
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[];
  readonly "x-strait-scope"?: string | null;
}

type PathItem = Readonly<Partial<Record<Method, OperationObject>>> & {
  readonly parameters?: readonly Referable<ParameterObject>[];
};

/** The bundled document: one file, references only to its own components. */
export interface OpenApiDocument {
  readonly openapi: string;
  readonly security?: OperationObject["security"];
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>;
    readonly [section: string]: Readonly<Record<string, unknown>>;
  };
  readonly [field: string]: unknown;
}

const METHODS = ["get", "put", "post", "patch", "delete"] as const;
type Method = (typeof METHODS)[number];

/** The ways to authenticate, in the order in which every generated file lists them. */
export const CREDENTIALS = ["bearer", "runToken", "internalSecret"] as const;
export type Credential = (typeof CREDENTIALS)[number];

export interface Parameter {
  /** As on the wire. */
  readonly name: string;
  readonly required: boolean;
  readonly schema: Schema;
  readonly description: string | undefined;
  readonly example: unknown;
}

export interface Answer {
  readonly status: number;
  readonly description: string | undefined;
  readonly media: "json" | "sse" | "none";
  readonly schema: Schema | undefined;
  readonly example: unknown;
  /** The name under `components.responses`, when operations share this answer. */
  readonly shared: string | undefined;
}

/** An operation with everything that the generators ask for, references to anything but schemas followed. */
export interface Operation {
  readonly id: string;
  /** In upper case. */
  readonly method: string;
  readonly path: string;
  readonly tag: string;
  readonly summary: string;
  readonly description: string;
  /** Empty when anybody may call it. */
  readonly auth: readonly Credential[];
  readonly scope: string | null;
  readonly pathParameters: readonly Parameter[];
  readonly queryParameters: readonly Parameter[];
  readonly headers: readonly Parameter[];
  readonly body: { readonly schema: Schema; readonly required: boolean; readonly example: unknown } | undefined;
  /** Sorted by status; at least one. */
  readonly successes: readonly Answer[];
  readonly errors: readonly Answer[];
  readonly media: Answer["media"];
  readonly idempotent: boolean;
  readonly paginated: boolean;
}

export interface Spec {
  readonly document: OpenApiDocument;
  /** Sorted by name. */
  readonly schemas: ReadonlyMap<string, Schema>;
  /** Sorted by id. */
  readonly operations: readonly Operation[];
}

/** The document says something that the generators cannot work with. Each problem is a sentence that names its place. */
export class SpecError extends Error {
  override readonly name = "SpecError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      `openapi/ has ${problems.length === 1 ? "a problem" : `${problems.length} problems`}:\n  ${problems.join("\n  ")}`,
    );
    this.problems = problems;
  }
}

/**
 * Reads a bundled document into what the generators work on.
 *
 * @throws {SpecError} With all the problems at once: wrong or colliding operation ids, an operation without a tag, a
 *   success answer or an example, an unknown security scheme, a request object that does not refuse unknown fields.
 */
export function readSpec(document: OpenApiDocument): Spec {
  const reader = new Reader(document);
  const named = reader.operations.map(({ method, path, source }) => ({
    method,
    path,
    operationId: source.operationId,
  }));
  reader.problems.push(...operationIdProblems(named));

  const schemas = new Map(Object.entries(document.components.schemas).sort(([left], [right]) => byName(left, right)));
  for (const name of schemas.keys()) {
    if (!/^[A-Z][A-Za-z0-9]*$/.test(name)) {
      reader.problems.push(
        `components.schemas.${name}: not a name in PascalCase; two schemas in different files may share their name`,
      );
    }
  }
  const operations = reader.operations.map((operation) => reader.operation(operation));
  operations.sort((left, right) => byName(left.id, right.id));
  if (reader.problems.length > 0) throw new SpecError([...new Set(reader.problems)]);
  return { document, schemas, operations };
}

interface Located {
  readonly method: string;
  readonly path: string;
  readonly item: PathItem;
  readonly source: OperationObject;
}

class Reader {
  readonly problems: string[] = [];
  readonly operations: readonly Located[];
  readonly #document: OpenApiDocument;
  readonly #closedChecked = new Set<string>();

  constructor(document: OpenApiDocument) {
    this.#document = document;
    this.operations = Object.entries(document.paths).flatMap(([path, item]) =>
      METHODS.flatMap((method) => {
        const source = item[method];
        return source ? [{ method: method.toUpperCase(), path, item, source }] : [];
      }),
    );
  }

  operation({ method, path, item, source }: Located): Operation {
    const where = `${method} ${path}`;
    const [tag = "", ...otherTags] = source.tags ?? [];
    if (tag === "" || otherTags.length > 0) this.problems.push(`${where}: has to have exactly one tag`);

    const parameters = [...(item.parameters ?? []), ...(source.parameters ?? [])].map((parameter) =>
      this.#follow(parameter),
    );
    const pathParameters = parameters.filter((parameter) => parameter.in === "path");
    this.#checkPathParameters(where, path, pathParameters);

    const answers = Object.entries(source.responses ?? {}).map(([status, response]) =>
      this.#answer(`${where} ${status}`, status, response),
    );
    answers.sort((left, right) => left.status - right.status);
    const successes = answers.filter(({ status }) => status >= 200 && status < 300);
    if (successes.length === 0) this.problems.push(`${where}: needs a success answer`);

    const media = successes.find((answer) => answer.media !== "none")?.media ?? "none";
    const queryParameters = parameters.filter((parameter) => parameter.in === "query");
    return {
      id: source.operationId ?? "",
      method,
      path,
      tag,
      summary: source.summary ?? "",
      description: source.description ?? "",
      auth: this.#auth(where, source.security ?? this.#document.security ?? []),
      scope: source["x-strait-scope"] ?? null,
      pathParameters: pathParameters.map((parameter) => this.#parameter(where, parameter)),
      queryParameters: queryParameters.map((parameter) => this.#parameter(where, parameter)),
      headers: parameters
        .filter((parameter) => parameter.in === "header")
        .map((parameter) => this.#parameter(where, parameter)),
      body: source.requestBody && this.#body(where, this.#follow(source.requestBody)),
      successes,
      errors: answers.filter(({ status }) => status >= 400),
      media,
      idempotent: method === "POST",
      paginated: media === "json" && queryParameters.some(({ name }) => name === "cursor"),
    };
  }

  #checkPathParameters(where: string, path: string, parameters: readonly ParameterObject[]): void {
    const inPath = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name ?? "");
    const declared = parameters.map(({ name }) => name);
    if (inPath.toSorted().join() !== declared.toSorted().join()) {
      this.problems.push(`${where}: declares the path parameters [${declared}], but the path has [${inPath}]`);
    }
  }

  #parameter(where: string, { name, required, schema, description, example }: ParameterObject): Parameter {
    if (!schema) this.problems.push(`${where}: the parameter ${name} needs a schema`);
    if (required && example === undefined) this.problems.push(`${where}: the parameter ${name} needs an example`);
    return {
      name,
      required: required ?? false,
      schema: schema ?? {},
      description,
      example: example ?? schema?.example,
    };
  }

  #body(where: string, { required, content }: RequestBodyObject): NonNullable<Operation["body"]> {
    const json = content?.["application/json"];
    if (!json?.schema) {
      this.problems.push(`${where}: a request body has to be application/json with a schema`);
      return { schema: {}, required: false, example: undefined };
    }
    this.#checkClosed(`${where} body`, json.schema);
    const example = this.#example(json);
    if (example === undefined) this.problems.push(`${where}: the request body needs an example`);
    return { schema: json.schema, required: required ?? false, example };
  }

  #answer(where: string, status: string, response: Referable<ResponseObject>): Answer {
    const shared = "$ref" in response ? response.$ref.split("/").at(-1) : undefined;
    const { content = {}, description } = this.#follow(response);
    const common = { status: Number(status), description, shared };
    if (!/^[2-5]\d\d$/.test(status)) this.problems.push(`${where}: has to be a status of 200 to 599`);

    const sse = content["text/event-stream"];
    if (sse) {
      return { ...common, media: "sse", schema: sse.schema, example: this.#example(sse) };
    }
    const json = content["application/json"];
    if (!json) {
      if (Object.keys(content).length > 0)
        this.problems.push(`${where}: has to be application/json or text/event-stream`);
      return { ...common, media: "none", schema: undefined, example: undefined };
    }
    const example = this.#example(json);
    if (!json.schema) this.problems.push(`${where}: needs a schema`);
    if (example === undefined) this.problems.push(`${where}: needs an example`);
    return { ...common, media: "json", schema: json.schema, example };
  }

  #auth(where: string, security: NonNullable<OperationObject["security"]>): readonly Credential[] {
    const found = new Set<Credential>();
    for (const scheme of security.flatMap((alternative) => Object.keys(alternative))) {
      const credential = CREDENTIALS.find((known) => known === scheme);
      // Rides along with the internal secret and proves nothing by itself.
      if (!credential && scheme !== "projectId") this.problems.push(`${where}: unknown security scheme ${scheme}`);
      if (credential) found.add(credential);
    }
    return CREDENTIALS.filter((credential) => found.has(credential));
  }

  #example({ example, examples, schema }: MediaType): unknown {
    if (example !== undefined) return example;
    const [first] = Object.values(examples ?? {});
    if (first) return this.#follow(first).value;
    const target = schema && this.#followSchema(schema);
    return target?.example ?? target?.examples?.[0];
  }

  /** An object of a request says what becomes of the fields that it does not name, so that a typing error is found. */
  #checkClosed(where: string, schema: Schema): void {
    if (schema.$ref) {
      if (this.#closedChecked.has(schema.$ref)) return;
      this.#closedChecked.add(schema.$ref);
      this.#checkClosed(schema.$ref.replace("#/", ""), this.#followSchema(schema));
      return;
    }
    const says = "additionalProperties" in schema || "unevaluatedProperties" in schema;
    if (schema.properties && !says) this.problems.push(`${where}: a request object needs additionalProperties: false`);
    for (const [name, property] of Object.entries(schema.properties ?? {}))
      this.#checkClosed(`${where}.${name}`, property);
    if (isSchema(schema.items)) this.#checkClosed(`${where}[]`, schema.items);
    for (const keyword of ["oneOf", "anyOf"]) {
      const branches = schema[keyword];
      if (Array.isArray(branches)) for (const branch of branches) this.#checkClosed(where, branch as Schema);
    }
  }

  #followSchema(schema: Schema): Schema {
    return schema.$ref ? this.#followSchema(this.#lookUp<Schema>(schema.$ref)) : schema;
  }

  #follow<Value extends object>(value: Referable<Value>): Value {
    return "$ref" in value ? this.#follow(this.#lookUp<Referable<Value>>(value.$ref)) : value;
  }

  #lookUp<Value>(ref: string): Value {
    let target: unknown = this.#document;
    for (const token of ref.replace(/^#\//, "").split("/")) {
      const key = decodeURIComponent(token).replaceAll("~1", "/").replaceAll("~0", "~");
      target = (target as Readonly<Record<string, unknown>> | undefined)?.[key];
    }
    if (target === undefined) throw new SpecError([`${ref}: nothing is there`]);
    return target as Value;
  }
}

function isSchema(value: unknown): value is Schema {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
