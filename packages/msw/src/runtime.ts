import { type OperationId, type Operations, operations } from "@strait/contract";
import { parseBody, queryOf, type RequestChecks, requestChecks, StraitError } from "@strait/server/pure";
import type { HttpHandler } from "msw";
import { anyCredentials, type Caller, callerOf, type Keyring } from "./access.ts";
import { type Events, eventsResponse, jsonResponse, refusalResponse, streamResponse } from "./answers.ts";
import { decoded, OperationHandler } from "./operation-handler.ts";

/** A call that reached a mock, checked against the contract as the server checks it. */
export interface MockCall<Id extends OperationId> {
  /** As text, percent-decoded once. */
  readonly pathParams: Operations[Id]["path"];
  /** Numbers and booleans as such, with the defaults of the contract. */
  readonly query: Operations[Id]["query"];
  /** With the defaults of the contract; undefined when there is none. */
  readonly body: Operations[Id]["body"];
  readonly request: Request;
}

/** One operation as a mock sees it. */
export interface MockOperation {
  readonly call: MockCall<OperationId>;
  /** A union over the statuses of the contract. */
  readonly answer: { readonly status: number; readonly body?: unknown };
  /** The status of the first success. */
  readonly first: number;
}

/** The body that goes with a status. */
type BodyOf<Answer, Status> = Answer extends { readonly status: infer Statuses; readonly body?: infer Body }
  ? Status extends Statuses
    ? Body
    : never
  : never;

/** An example of every answer, by status. */
export type ExamplesOf<Operation extends MockOperation> = {
  readonly [Status in Operation["answer"]["status"]]: BodyOf<Operation["answer"], Status>;
};

interface WithHeaders {
  /** Beside those that the server would send with this answer. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/**
 * What a mock answers: a status of the contract alone (with the contract's example as body), status and body, or a
 * body alone (with the status of the first success). The body of a stream is an iterable of events.
 */
export type Reply<Operation extends MockOperation> =
  | Operation["answer"]["status"]
  | (Operation["answer"] & WithHeaders)
  | ({ readonly status?: undefined; readonly body: BodyOf<Operation["answer"], Operation["first"]> } & WithHeaders);

/** What a function that stands in may give; undefined lets the call pass, as if there were no override. */
type Given<Operation extends MockOperation> = Reply<Operation> | Response | undefined;

/** What stands in for what a mock would answer: a reply, or a function of the call that gives one, or a whole `Response`. */
export type Override<Operation extends MockOperation> =
  | Reply<Operation>
  | ((call: Operation["call"]) => Given<Operation> | Promise<Given<Operation>>);

/**
 * Makes the handler of one operation for the server at `baseUrl`. Without an override it answers the contract's example
 * of the first success. What breaks the contract is refused before an override is asked, as the server does.
 */
export type HandlerFactory<Operation extends MockOperation> = (
  baseUrl: string,
  override?: Override<Operation> | undefined,
  backing?: Backing | undefined,
) => HttpHandler;

/** A call, and who makes it. */
export interface CheckedCall extends MockCall<OperationId> {
  readonly caller: Caller;
}

/** What stands behind handlers that have a state. */
export interface Backing {
  readonly keyring: Keyring;
  /** The override that is in force at this moment. */
  overrideOf(id: OperationId): unknown;
  /** Undefined: the operation is not modeled, so it answers its example. */
  answer(id: OperationId, call: CheckedCall): Promise<Response> | undefined;
}

/** Makes the factory of one operation from its row in the contract and its examples. */
export function handlerFactory<Operation extends MockOperation>(
  id: OperationId,
  examples: ExamplesOf<Operation>,
): HandlerFactory<Operation> {
  const { media, method, path, success } = operations[id];
  const [first] = success;
  const bodies: Readonly<Record<number, unknown>> = examples;
  const route = path.replaceAll(/\{(\w+)\}/g, ":$1");

  return (baseUrl, override, backing) =>
    new OperationHandler(method, `${baseUrl.replace(/\/+$/, "")}${route}`, (request, params) =>
      refusing(async () => {
        const call = await readCall(id, request, decoded(params), backing?.keyring ?? anyCredentials);
        const current = (backing?.overrideOf(id) ?? override) as Override<Operation> | undefined;
        const given = typeof current === "function" ? await current(call) : current;
        if (given instanceof Response) return given;
        if (given !== undefined) return respond(request, given);
        const modeled = await backing?.answer(id, call);
        if (modeled) return modeled;
        // Only the headers are asked for: nobody would read the stream to its end.
        if (media === "sse" && request.method === "HEAD") return streamResponse(first, null);
        return respond(request, first);
      }),
    );

  function respond(request: Request, reply: LooseReply): Response {
    if (typeof reply === "number") return respond(request, { status: reply, body: bodies[reply] });
    const { status = first, body, headers } = reply;
    return media === "sse" && status === first
      ? eventsResponse(status, body as Events, request.signal, headers)
      : jsonResponse(status, body, headers);
  }
}

/** Any `Reply`; that status and body belong together was checked where it was written. */
type LooseReply = number | ({ readonly status?: number | undefined; readonly body?: unknown } & WithHeaders);

/** Answers what is thrown to refuse; anything else is a mistake in a mock, for MSW to report. */
async function refusing(answer: () => Promise<Response>): Promise<Response> {
  try {
    return await answer();
  } catch (error) {
    if (error instanceof StraitError) return refusalResponse(error);
    throw error;
  }
}

const compiled = new Map<OperationId, RequestChecks>();

/** Compiles what is called, when it is called first. */
function checksOf(id: OperationId): RequestChecks {
  const checks = compiled.get(id) ?? requestChecks(id);
  compiled.set(id, checks);
  return checks;
}

/** @throws {StraitError} what the server would refuse before it looks at its state. */
async function readCall(
  id: OperationId,
  request: Request,
  path: Record<string, string>,
  keyring: Keyring,
): Promise<CheckedCall> {
  const { auth, method } = operations[id];
  const caller = callerOf(operations[id], request, path, keyring);
  const checks = checksOf(id);
  const query = queryOf(request.url);
  checks.path(path);
  // A probe may be called with anything.
  if (auth.length > 0) checks.query(query);
  const body = method === "POST" || method === "PATCH" ? await readBody(request, checks.bodyRequired) : undefined;
  if (body !== undefined) checks.body(body);
  return { pathParams: path, query, body, request, caller } as CheckedCall;
}

async function readBody(request: Request, isRequired: boolean): Promise<unknown> {
  const text = await request.clone().text();
  return parseBody(text, request.headers.get("content-type") ?? undefined, isRequired);
}
