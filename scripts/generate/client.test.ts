import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { clientFiles } from "./client.ts";
import { readSpec } from "./spec.ts";
import { testDocument } from "./test-document.ts";
import { typeErrors } from "./type-errors.ts";
import { typeSource, withOpenAnswers } from "./type-source.ts";
import { renderTypes } from "./types.ts";

const root = mkdtempSync(path.join(tmpdir(), "strait-generate-"));
const packages = path.resolve(import.meta.dirname, "../../packages");
cpSync(path.join(packages, "ts/src"), root, { recursive: true });
mkdirSync(path.join(root, "node_modules/@strait"), { recursive: true });
symlinkSync(path.join(packages, "contract"), path.join(root, "node_modules/@strait/contract"));
afterAll(() => rmSync(root, { recursive: true }));

/** A program that has a client of each kind. */
function withClients(program: string): string {
  return `
import type { BearerOperationsPromise, InternalSecretOperationsPromise, RunTokenOperationsPromise } from "./generated/client-types.ts";
declare const bearer: BearerOperationsPromise;
declare const run: RunTokenOperationsPromise;
declare const operator: InternalSecretOperationsPromise;
void bearer; void run; void operator;
${program}`;
}

describe("the types of the client", () => {
  test("take the calls of the guide, and know what they answer", () => {
    const program = withClients(`
const [runID, documentId] = ["run_1", "doc-7"];
const trigger = await run.postSdkV1RunsByRunIDWaitForEvent({
  pathParams: { runID },
  body: { event_key: \`review:\${documentId}\`, timeout_secs: 172800, notify_url: "https://myapp.com/webhook/review-ready" },
});
const resolved = await bearer.postV1EventsByEventKeySend({
  pathParams: { eventKey: \`review:\${documentId}\` },
  body: { payload: { approved: true, reviewer: "alice", comments: "Looks good" } },
});
const status = await bearer.getV1EventsByEventKey({ pathParams: { eventKey: \`review:\${documentId}\` } });
const texts: string[] = [trigger.trigger_id, resolved.status, resolved.disposition, status.status];
const known: "waiting" | "received" | "timed_out" | "canceled" | "superseded" | (string & {}) = status.status;
const health = await operator.getHealth();
const page = await bearer.getV1Events();
const none: undefined = await bearer.deleteV1JobsByJobID({ pathParams: { jobID: "j" }, timeoutMs: 1_000, retries: 0 });
export { health, known, none, page, texts };
`);

    expect(typeErrors(root, { "guide.ts": program })).toEqual({ "guide.ts": [] });
  });

  describe("refuse", () => {
    const refused: Readonly<Record<string, readonly [program: string, message: RegExp]>> = {
      "an unknown operation": [
        `await bearer.getV1EventByEventKey({ pathParams: { eventKey: "k" } });`,
        /'getV1EventByEventKey' does not exist/,
      ],
      "a missing input": ["await bearer.getV1EventsByEventKey();", /Expected 1 arguments/],
      "a missing path parameter": ["await bearer.getV1EventsByEventKey({ pathParams: {} });", /'eventKey' is missing/],
      "an unknown body field": [
        `await bearer.postV1EventsByEventKeySend({ pathParams: { eventKey: "k" }, body: { paylod: 1 } });`,
        /'paylod' does not exist/,
      ],
      "an unknown status in a filter": [`await bearer.getV1Runs({ query: { status: "done" } });`, /not assignable/],
      "a run's operation with an API key": [
        `await bearer.postSdkV1RunsByRunIDHeartbeat({ pathParams: { runID: "r" } });`,
        /does not exist/,
      ],
      "the API with a run token": ["await run.getV1Events();", /does not exist/],
      "projects with an API key": ["await bearer.getV1Projects();", /does not exist/],
      "a stream as a promise": [
        `await bearer.getV1EventsByEventKeyStream({ pathParams: { eventKey: "k" } });`,
        /does not exist/,
      ],
      "a status as a number": [
        `export const n: number = (await bearer.getV1EventsByEventKey({ pathParams: { eventKey: "k" } })).status;`,
        /^Type 'TriggerStatus' is not assignable to type 'number'/,
      ],
    };
    const fileOf = (name: string) => `${name.replaceAll(/\W+/g, "-")}.ts`;
    const errors = typeErrors(
      root,
      Object.fromEntries(Object.entries(refused).map(([name, [program]]) => [fileOf(name), withClients(program)])),
    );

    test.each(Object.entries(refused))("%s", (name, [, message]) => {
      expect(errors[fileOf(name)]).toEqual([expect.stringMatching(message)]);
    });
  });

  test("say the same as the types of openapi-typescript", () => {
    const program = withClients(`
import type { operations } from "./generated/openapi.ts";
import type { BearerOperations, BearerPagination, InternalSecretOperations, RunTokenOperations } from "./generated/client-types.ts";
import type { EventTrigger } from "./generated/types.ts";

type All = BearerOperationsPromise & RunTokenOperationsPromise & InternalSecretOperationsPromise;
type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : false) : false;
type Member<Value, Name> = Name extends keyof Value ? Exclude<Value[Name], undefined> : never;
type Json<Value> = Member<Member<Value, "content">, "application/json">;
type Result<Answer> = [Json<Answer>] extends [never] ? undefined : Json<Answer>;
type Success<Answers> = { [Status in keyof Answers & (200 | 201 | 202 | 204)]: Result<Answers[Status]> }[keyof Answers & (200 | 201 | 202 | 204)];

type Answers = BearerOperations & RunTokenOperations & InternalSecretOperations;
type Data<Answer> = Answer extends { readonly ok: true; readonly data: infer Body } ? Body : never;
export const answers: { [Id in keyof All]: Same<Data<Awaited<ReturnType<Answers[Id]>>>, Awaited<ReturnType<All[Id]>>> }[keyof All] = true;
export const entries: Same<BearerPagination["getV1Events"] extends (...input: never) => AsyncIterable<infer Item> ? Item : never, EventTrigger> = true;

type Wrong = {
  [Id in keyof All]: Id extends keyof operations
    ? [
        Same<Awaited<ReturnType<All[Id]>>, Success<operations[Id]["responses"]>>,
        Same<Member<NonNullable<Parameters<All[Id]>[0]>, "body">, Json<Member<operations[Id], "requestBody">>>,
        Same<Member<NonNullable<Parameters<All[Id]>[0]>, "query">, Member<operations[Id]["parameters"], "query">>,
        Same<Member<NonNullable<Parameters<All[Id]>[0]>, "pathParams">, Member<operations[Id]["parameters"], "path">>,
      ] extends true[]
      ? never
      : Id
    : Id;
}[keyof All];
type Missing = Exclude<keyof operations, keyof All>;
export const streams: Same<Missing, "getV1EventsByEventKeyStream" | "getV1RunsByRunIDStream" | "getV1WorkflowRunsByWorkflowRunIDStream"> = true;
export const wrong: (id: Wrong) => never = (id: never) => id;
`);

    expect(typeErrors(root, { "proof.ts": program })).toEqual({ "proof.ts": [] });
  });
});

test("the paths of the client say the same as those of openapi-typescript", () => {
  const program = `
import type { paths } from "./generated/openapi.ts";
import type { BearerPaths, InternalSecretPaths, RunTokenPaths } from "./generated/paths.ts";

type Paths = BearerPaths & InternalSecretPaths & RunTokenPaths;
type Same<Left, Right> = [Left] extends [Right] ? ([Right] extends [Left] ? true : false) : false;
type Member<Value, Name> = Name extends keyof Value ? Value[Name] : never;
type Contents<Answers> = { [Status in keyof Answers]: Member<Answers[Status], "content"> };

type Wrong = {
  [Path in keyof Paths]: {
    [Method in keyof Paths[Path]]: Path extends keyof paths
      ? Method extends keyof paths[Path]
        ? [
            Same<Member<Paths[Path][Method], "parameters">, Member<paths[Path][Method], "parameters">>,
            Same<Member<Paths[Path][Method], "requestBody">, Member<paths[Path][Method], "requestBody">>,
            Same<keyof Member<Paths[Path][Method], "responses">, keyof Member<paths[Path][Method], "responses">>,
            Same<Contents<Member<Paths[Path][Method], "responses">>, Contents<Member<paths[Path][Method], "responses">>>,
          ] extends true[]
          ? never
          : [Path, Method]
        : [Path, Method]
      : Path;
  }[keyof Paths[Path]];
}[keyof Paths];
type Missing = Exclude<keyof paths, keyof Paths>;
type Methods<Item> = { [Method in "get" | "put" | "post" | "patch" | "delete"]: [Exclude<Member<Item, Method>, undefined>] extends [never] ? never : Method }["get" | "put" | "post" | "patch" | "delete"];
type Unequal = { [Path in keyof paths & keyof Paths]: Same<keyof Paths[Path], Methods<paths[Path]>> extends true ? never : Path }[keyof paths & keyof Paths];
export const wrong: (found: Wrong | Missing | Unequal) => never = (found: never) => found;
`;

  expect(typeErrors(root, { "paths-proof.ts": program })).toEqual({ "paths-proof.ts": [] });
});

describe("the operation table", () => {
  test("has a line for each operation, its credentials, streams and lists as bits", async () => {
    const document = testDocument();
    const open = withOpenAnswers(typeSource(document));
    const files = clientFiles(readSpec(document), open, await renderTypes(open));

    const table = files.find((file) => file.path.endsWith("/operations.ts"))?.content;
    expect(table).toContain("`GET /triggers 17\nPOST /triggers/{key}/send 5\nGET /triggers/{key}/stream 8`");
  });
});
