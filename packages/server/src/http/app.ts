import { randomUUID } from "node:crypto";
import { errorStatus, type OperationId, operations } from "@strait/contract";
import { Hono, type Context as HonoContext } from "hono";
import { cors } from "hono/cors";
import { noRoute, StraitError, unavailable } from "../domain/errors.ts";
import type { Caller } from "../service/context.ts";
import type { RunCaller } from "../service/wait-for-event.ts";
import { crashPoint } from "../store/crash-points.ts";
import { isBusy, isConnectionLoss } from "../store/database.ts";
import { envelope, headersOf, refusalHeaders } from "../wire/envelope.ts";
import { idempotencyKeyOf } from "../wire/idempotency-key.ts";
import { checkEncoding, queryOf } from "../wire/query.ts";
import type { Authenticator } from "./authenticate.ts";
import { readBody } from "./body.ts";
import type { Call, Handler, HandlersOf, Services } from "./handlers.ts";
import { bodyHash, onceOnly } from "./idempotency.ts";
import { readMetrics } from "./metrics.ts";
import { incomingOf, requestHeaders } from "./request-headers.ts";
import { apiKeysRoutes } from "./routes/api-keys.ts";
import { auditEventsRoutes } from "./routes/audit-events.ts";
import { eventDeadLettersRoutes } from "./routes/event-dead-letters.ts";
import { eventsRoutes } from "./routes/events.ts";
import { health } from "./routes/health.ts";
import { jobsRoutes } from "./routes/jobs.ts";
import { projectsRoutes } from "./routes/projects.ts";
import { runsRoutes } from "./routes/runs.ts";
import { sdkRunsRoutes } from "./routes/sdk-runs.ts";
import { streamsRoutes } from "./routes/streams.ts";
import { webhooksRoutes } from "./routes/webhooks.ts";
import { workflowRunsRoutes } from "./routes/workflow-runs.ts";
import { workflowsRoutes } from "./routes/workflows.ts";
import { streamResponse } from "./stream-response.ts";
import type { EventStream } from "./streams.ts";
import { checksOf } from "./validate.ts";

/** Every operation of the contract has a handler: one that is missing, or one too many, does not compile. */
const handlers: { readonly [Id in OperationId]: Handler<Id> } = {
  ...health,
  ...projectsRoutes,
  ...apiKeysRoutes,
  ...jobsRoutes,
  ...runsRoutes,
  ...eventsRoutes,
  ...workflowsRoutes,
  ...workflowRunsRoutes,
  ...streamsRoutes,
  ...eventDeadLettersRoutes,
  ...auditEventsRoutes,
  ...webhooksRoutes,
  ...sdkRunsRoutes,
} satisfies HandlersOf<Tag>;

type Tag = (typeof operations)[OperationId]["tag"];

export interface AppOptions {
  readonly services: Services;
  readonly authenticator: Authenticator;
  readonly allowedOrigins: readonly string[];
  /** Encrypts and decrypts stored answers that hold a secret. */
  readonly sealingKey: string;
  /** What an operator shows to read the metrics. */
  readonly internalSecret: string;
  readonly onError: (error: unknown, request: { readonly requestId: string; readonly operation: string }) => void;
}

const EXPOSED = "X-Request-Id, Idempotency-Replayed, Retry-After";
const OPEN_ORIGIN = { "access-control-allow-origin": "*", "access-control-expose-headers": EXPOSED } as const;

function isOpen({ allowedOrigins }: AppOptions): boolean {
  return allowedOrigins.includes("*");
}

/** What every answer to one request tells. */
interface Reply {
  readonly id: string;
  readonly isCrossOrigin: boolean;
}

function replyTo(c: HonoContext): Reply {
  return { id: randomUUID(), isCrossOrigin: requestHeaders(c)("origin") !== undefined };
}

/** These write their own answers down: their effects and those of others are one statement. */
const STORES_ITS_ANSWER: ReadonlySet<OperationId> = new Set([
  "postV1JobsByJobIDTrigger",
  "postV1EventsByEventKeySend",
  "postV1RunsByRunIDInboxByName",
]);

/**
 * A call before its request is filled in. Each call is a copy: V8 copies one object at once, and takes a hundred times as
 * long to merge two.
 */
interface BlankCall extends Services {
  readonly caller: unknown;
  readonly path: unknown;
  readonly query: unknown;
  readonly headers: unknown;
  readonly body: unknown;
  readonly idempotency: unknown;
}

interface App extends AppOptions {
  readonly blank: BlankCall;
}

const NO_REQUEST = { caller: null, path: null, query: null, headers: null, body: null, idempotency: null };

/** The operation table as routes: authentication, validation, idempotency, and the error envelope, each in one place. */
export function createApp(given: AppOptions): {
  fetch(request: Request, env?: object): Response | Promise<Response>;
} {
  const options: App = { ...given, blank: { ...given.services, ...NO_REQUEST } };
  const app = new Hono();
  const crossOrigin = cors({
    origin: isOpen(options) ? "*" : [...options.allowedOrigins],
    allowMethods: ["GET", "POST", "PATCH", "DELETE", "OPTIONS"],
    allowHeaders: ["Authorization", "Content-Type", "Idempotency-Key", "X-Idempotency-Key", "Last-Event-ID"],
    exposeHeaders: EXPOSED.split(", "),
    maxAge: 300,
  });
  // Where every origin may read, the headers are constants of each answer: touching them later costs a tenth of a request.
  if (isOpen(options)) app.options("*", crossOrigin);
  else app.use(crossOrigin);
  // The first route that fits is taken, so `/v1/events/stats` stands before `/v1/events/{eventKey}`: `{` sorts behind letters.
  for (const operation of Object.values(operations).toSorted((a, b) => (a.path < b.path ? -1 : 1))) {
    const path = operation.path.replaceAll(/\{(\w+)\}/g, ":$1");
    app.on(operation.method, path, (c) => serve(options, operation.id, c));
  }
  app.get("/metrics", (c) => metricsResponse(options, c));
  app.notFound((c) => {
    return errorResponse(options, noRoute(c.req.method, c.req.path), replyTo(c));
  });
  app.onError((error, c) => {
    const reply = replyTo(c);
    return errorResponse(options, toStraitError(options, error, reply, "unknown"), reply);
  });
  return app;
}

/** As all answers are made here, it is here that they are counted. */
async function serve(options: App, id: OperationId, c: HonoContext): Promise<Response> {
  const started = performance.now();
  const reply = replyTo(c);
  let response: Response;
  try {
    response = await answer(options, id, c, reply);
    crashPoint("before-answer");
  } catch (error) {
    response = errorResponse(options, toStraitError(options, error, reply, id), reply);
  }
  options.services.context.metrics.answered(id, response.status, performance.now() - started);
  return response;
}

async function metricsResponse(options: AppOptions, c: HonoContext): Promise<Response> {
  const reply = replyTo(c);
  try {
    const { metrics } = options.services.context;
    const { text, contentType } = await readMetrics(metrics, requestHeaders(c), options.internalSecret);
    return new Response(text, { headers: { ...headersFor(options, reply), "content-type": contentType } });
  } catch (error) {
    return errorResponse(options, toStraitError(options, error, reply, "metrics"), reply);
  }
}

async function answer(options: App, id: OperationId, c: HonoContext, reply: Reply): Promise<Response> {
  const { services, authenticator, blank } = options;
  const operation = operations[id];
  const checks = checksOf.get(id);
  if (!checks) throw new Error(`operation ${id} has no checks`);
  const header = requestHeaders(c);
  const path = pathOf(c);
  const query = queryOf(c.req.url);
  const isStream = operation.media === "sse";
  const caller = await authenticator.authenticate(
    operation,
    {
      authorization: header("authorization"),
      internalSecret: header("x-internal-secret"),
      projectId: header("x-project-id"),
      queryToken: isStream && typeof query.token === "string" ? query.token : undefined,
      requestId: reply.id,
    },
    path,
  );
  checks.path(path);
  // A probe may be called with anything.
  if (operation.auth.length > 0) checks.query(query);
  const hasBody = operation.method === "POST" || operation.method === "PATCH";
  const { value: body, text } = hasBody
    ? await readBody(incomingOf(c) ?? c.req.raw, header, checks.bodyRequired, services.limits.maxBodyBytes)
    : NO_BODY;
  if (body !== undefined) checks.body(body);

  const key = operation.idempotent
    ? idempotencyKeyOf(header("idempotency-key"), header("x-idempotency-key"))
    : undefined;
  const idempotency =
    key === undefined
      ? null
      : {
          project_id: caller.projectId,
          target: `${id} ${Object.values(path).join(" ")} ${scopeOf(caller)}`,
          key,
          body_hash: bodyHash(text),
        };

  const handle = (given: BlankCall) => {
    const call: { -readonly [Part in keyof BlankCall]: BlankCall[Part] } = { ...given };
    call.caller = caller;
    call.path = path;
    call.query = query;
    call.headers = { "Last-Event-ID": header("last-event-id") };
    call.body = body;
    call.idempotency = idempotency;
    return (handlers[id] as Handler<OperationId>)(call as unknown as Call<OperationId>);
  };

  if (isStream) {
    const headers = headersFor(options, reply);
    // Only the headers are asked for: a stream that nobody reads would never end.
    if (c.req.method === "HEAD") return new Response(null, { headers });
    const stream = (await handle(blank)) as EventStream | undefined;
    return stream === undefined ? new Response(null, { status: 204, headers }) : streamResponse(c, stream, headers);
  }
  if (idempotency === null || STORES_ITS_ANSWER.has(id)) return respond(options, id, await handle(blank), reply);
  const { response, isReplayed } = await onceOnly(services.context, idempotency, options.sealingKey, async (context) =>
    plain(id, await handle({ ...blank, context })),
  );
  return jsonResponse(options, response.status, response.text, reply, isReplayed);
}

const NO_BODY = { value: undefined, text: "" } as const;

/** Path parameters, decoded exactly once: `aml%3Auser-456` is `aml:user-456`, and `%2F` stays within its segment. */
function pathOf(c: HonoContext): Record<string, string> {
  checkEncoding(c.req.url.split("?", 1)[0] ?? "", "/path");
  return c.req.param();
}

function scopeOf(caller: Caller | RunCaller): string {
  return "environmentId" in caller ? caller.environmentId : caller.runId;
}

interface Plain {
  readonly status: number;
  readonly text: string | null;
}

/** A handler's answer as status and text. Operations with several success statuses name theirs. */
function plain(id: OperationId, result: unknown): Plain {
  const { success, media } = operations[id];
  const [status = 200] = success;
  if (media === "none") return { status, text: null };
  if (success.length > 1) {
    const { status: chosen, body } = result as { status: number; body: unknown };
    return { status: chosen, text: JSON.stringify(body) };
  }
  return { status, text: JSON.stringify(result ?? null) };
}

function respond(options: AppOptions, id: OperationId, result: unknown, reply: Reply): Response {
  const { status, text } = plain(id, result);
  const isReplayed = typeof result === "object" && result !== null && "replayed" in result;
  return jsonResponse(options, status, text, reply, isReplayed);
}

function jsonResponse(
  options: AppOptions,
  status: number,
  text: string | null,
  reply: Reply,
  isReplayed: boolean,
): Response {
  const headers = headersFor(options, reply);
  if (isReplayed) headers["idempotency-replayed"] = "true";
  if (text !== null) headers["content-type"] = "application/json";
  return new Response(text, { status, headers });
}

function headersFor(options: AppOptions, { id, isCrossOrigin }: Reply): Record<string, string> {
  const headers = headersOf(id);
  return isCrossOrigin && isOpen(options) ? Object.assign(headers, OPEN_ORIGIN) : headers;
}

const RETRY_SOON = { retryAfterSecs: 1 } as const;

/** Anything that is not ours is a bug or an outage: it is logged, and says nothing to the caller. */
function toStraitError({ onError }: AppOptions, error: unknown, reply: Reply, operation: string): StraitError {
  if (error instanceof StraitError) {
    // Without a cause it is said on purpose: the server stops.
    if (errorStatus[error.code] >= 500 && error.cause !== undefined)
      onError(error.cause, { requestId: reply.id, operation });
    return error;
  }
  onError(error, { requestId: reply.id, operation });
  if (isConnectionLoss(error)) return unavailable("the database cannot be reached now; try again", RETRY_SOON);
  if (isBusy(error)) return unavailable("the database is busy with what this request needs; try again", RETRY_SOON);
  return new StraitError("internal_error", "something went wrong in the server; its log has more under the request id");
}

function errorResponse(options: AppOptions, error: StraitError, reply: Reply): Response {
  const headers = Object.assign(headersFor(options, reply), refusalHeaders(error));
  headers["content-type"] = "application/json";
  return new Response(envelope(error, reply.id), { status: errorStatus[error.code], headers });
}
