import { readFileSync } from "node:fs";
import { type OperationId, operations } from "@strait/contract";
import { Ajv2020 } from "ajv/dist/2020.js";
import formats from "ajv-formats";
import { expect } from "vitest";

export type Node = Readonly<Record<string, unknown>>;

/** The bundled contract. */
export const openapi: Node = JSON.parse(readFileSync(new URL("../../contract/openapi.json", import.meta.url), "utf8"));

const ajv = new Ajv2020({ strict: false, allErrors: true });
formats.default(ajv);
ajv.addSchema(openapi, "openapi");

/** What a JSON pointer into the contract names, behind its references, and the pointer at which that stands. */
export function inContract(pointer: string): { readonly at: string; readonly node: Node } | undefined {
  let node: unknown = openapi;
  for (const segment of pointer.split("/").slice(1)) {
    node = (node as Node)[segment.replaceAll("~1", "/").replaceAll("~0", "~")];
    if (node === undefined) return undefined;
  }
  const { $ref } = node as Node;
  return typeof $ref === "string" ? inContract($ref.slice(1)) : { at: pointer, node: node as Node };
}

export const escaped = (segment: string) => segment.replaceAll("~", "~0").replaceAll("/", "~1");

/** Every status that an operation may answer. */
export function documentedStatuses(id: OperationId): number[] {
  return Object.keys(inContract(responsesOf(id))?.node ?? {}).map(Number);
}

function responsesOf(id: OperationId): string {
  const { method, path } = operations[id];
  return `/paths/${escaped(path)}/${method.toLowerCase()}/responses`;
}

/** Holds a value against a schema of the contract, named by a JSON pointer. */
export function expectToFit(schemaAt: string, value: unknown): void {
  const isValid = ajv.validate({ $ref: `openapi#${schemaAt}` }, value);
  expect(isValid ? [] : ajv.errors, `${JSON.stringify(value)} against ${schemaAt}`).toEqual([]);
}

/** Holds an answer against what the contract says of this operation and status. Returns its body. */
export async function expectToKeepTheContract(id: OperationId, response: Response): Promise<unknown> {
  const documented = inContract(`${responsesOf(id)}/${response.status}`);
  if (!documented) throw new Error(`${response.status} is not documented: ${await response.text()}`);
  expect(response.headers.get("x-request-id")).not.toBeNull();
  for (const [name, value] of response.headers) {
    const declared = Object.keys((documented.node.headers ?? {}) as Node).find((key) => key.toLowerCase() === name);
    const header = declared && inContract(`${documented.at}/headers/${escaped(declared)}`);
    if (!header) continue;
    const isInteger = (header.node.schema as Node).type === "integer";
    expectToFit(`${header.at}/schema`, isInteger ? Number(value) : value);
  }
  const [media] = Object.keys((documented.node.content ?? {}) as Node);
  expect(response.headers.get("content-type")).toBe(media ?? null);
  if (media === undefined) {
    expect(await response.text()).toBe("");
    return undefined;
  }
  if (media !== "application/json") return undefined;
  const body = await response.json();
  expectToFit(`${documented.at}/content/${escaped(media)}/schema`, body);
  return body;
}
