import { examples, type OperationId, operations, requestSchemas, schemas } from "@strait/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { expectToKeepTheContract, type Node } from "./contract.ts";
import { examplePath, operationIds, startExampleWorld } from "./example-world.ts";

type Place = readonly string[];

/** Stands for a number that JSON can write and JavaScript cannot hold. */
const HUGE = "a huge number";

const strange = fc.oneof(
  fc.constantFrom<unknown>(null, true, -1, 0, 1, 1.5, 11, 501, 2 ** 31 - 1, 2 ** 31, 2 ** 53, 5e-324, HUGE),
  fc.constantFrom<unknown>(
    "",
    " ",
    "\0",
    "\ud800",
    "__proto__",
    "é".repeat(600),
    "%2F",
    "../..",
    "24h",
    "{{payload.a}}",
  ),
  fc.constantFrom<unknown>("0000-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "2099-01-01T00:00:00+15:59", "http://[::1"),
  fc.constantFrom<unknown>([], {}, [[]], { "": "" }, { $ref: "#" }, { $ref: "http://x/y" }, { pattern: "(" }),
  fc.jsonValue(),
  fc.string({ unit: "binary" }),
);

/** The places of a body that an example fills, and the fields that its schema names. */
function placesOf(id: OperationId): Place[] {
  const { $ref = "" } = (requestSchemas[id].body ?? {}) as { $ref?: string };
  const { properties = {} } = (schemas.$defs[$ref.split("/").at(-1) ?? ""] ?? {}) as { properties?: Node };
  return [...placesIn(examples[id].request.body), ...Object.keys(properties).map((name) => [name]), ["surprise"]];
}

function placesIn(value: unknown, at: Place = []): Place[] {
  if (typeof value !== "object" || value === null) return [at];
  return [at, ...Object.entries(value).flatMap(([name, item]) => placesIn(item, [...at, name]))];
}

/** The value with another one at `place`, or with nothing there. */
function changed(value: unknown, [name, ...rest]: Place, put: { readonly value?: unknown }): unknown {
  if (name === undefined) return put.value;
  const entries = Object.entries(typeof value === "object" && value !== null ? value : {});
  const others = entries.filter(([other]) => other !== name);
  const isDropped = rest.length === 0 && !("value" in put);
  const inner = entries.find(([other]) => other === name)?.[1];
  const next = isDropped ? others : [...others, [name, changed(inner, rest, put)]];
  return Array.isArray(value) ? next.map((entry) => entry[1]) : Object.fromEntries(next);
}

const headers = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  fc.record({ "idempotency-key": fc.constantFrom("", "k", "l", "k".repeat(257), "é") }),
  fc.record({ "last-event-id": fc.constantFrom("", "k", "bm90aGluZw", "k".repeat(257)) }),
);

/** The example of some operation, with something strange in its body, its path, its query or its headers. */
const requests = fc.constantFrom(...operationIds).chain((id) => {
  const parameters = Object.keys(examples[id].request.pathParams);
  const filters = Object.keys(requestSchemas[id].query?.properties ?? {});
  const segment = fc.oneof(
    fc.string({ unit: "grapheme", minLength: 1 }),
    fc.constantFrom("%", "/", "\0", " ", "\n", "'"),
  );
  return fc.record({
    id: fc.constant(id),
    headers,
    changes: fc.array(
      fc.tuple(fc.constantFrom(...placesOf(id)), fc.oneof(fc.record({ value: strange }), fc.constant({}))),
      { maxLength: 2 },
    ),
    path: fc.oneof(
      { weight: 3, arbitrary: fc.constant({}) },
      fc.record(Object.fromEntries(parameters.slice(-1).map((name) => [name, segment]))),
    ),
    query:
      filters.length === 0
        ? fc.constant([])
        : fc.array(fc.tuple(fc.constantFrom(...filters), strange), { maxLength: 1 }),
  });
});

test("whatever is sent, the answer keeps the contract and is never the server's fault", async () => {
  const world = await startExampleWorld();

  await fc.assert(
    fc.asyncProperty(requests, async ({ id, headers, changes, path, query }) => {
      const body = changes.reduce((value, [place, put]) => changed(value, place, put), examples[id].request.body);
      const url = new URL(examplePath(id, path), "http://test");
      for (const [name, value] of query) {
        url.searchParams.set(name, typeof value === "string" ? value : JSON.stringify(value));
      }
      const { method } = operations[id];
      const { token, headers: credentials } = world.credentialsOf(id);
      const hasBody = body !== undefined && (method === "POST" || method === "PATCH");

      const response = await world.fetch(method, `${url.pathname}${url.search}`, {
        ...(token === undefined ? {} : { token }),
        headers: { ...credentials, ...headers },
        ...(hasBody ? { text: JSON.stringify(body).replaceAll(JSON.stringify(HUGE), "1e400") } : {}),
      });

      expect(response.status).toBeLessThan(500);
      // Dots in a path lead to another route.
      if (response.status !== 404) await expectToKeepTheContract(id, response);
      if (response.body !== null && !response.body.locked) await response.body.cancel();
    }),
    { numRuns: 500 },
  );
});
