import { type OperationId, operations } from "@strait/contract";
import { Hono, type Context as HonoContext } from "hono";
import { cors } from "hono/cors";
import { noRoute, StraitError } from "../domain/errors.ts";
import type { Caller } from "../service/context.ts";
import type { Refusals } from "../service/refusals.ts";
import type { RunCaller } from "../service/wait-for-event.ts";
import { crashPoint } from "../store/crash-points.ts";
import { mayBeSecret } from "../wire/credentials.ts";
import { idempotencyKeyOf } from "../wire/idempotency-key.ts";
import { checkEncoding, queryOf } from "../wire/query.ts";
import type { Authenticator, Identity } from "./authenticate.ts";
import { readBody } from "./body.ts";
import type { Call, Handler, HandlersOf, Services } from "./handlers.ts";
import { bodyHash, onceOnly } from "./idempotency.ts";
import { readMetrics } from "./metrics.ts";
import { incomingOf, type RequestHeaders, requestHeaders } from "./request-headers.ts";
import {
  EXPOSED,
  errorResponse,
  headersFor,
  isOpen,
  jsonResponse,
  plain,
  type Reply,
  type ResponseOptions,
  replyTo,
  respond,
  toStraitError,
} from "./responses.ts";
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

export interface AppOptions extends ResponseOptions {
  readonly services: Services;
  readonly authenticator: Authenticator;
  readonly refusals: Refusals;
  /** Encrypts and decrypts stored answers that hold a secret. */
  readonly sealingKey: string;
  /** What an operator shows to read the metrics. */
  readonly internalSecret: string;
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

/** A request of which it is known who sends it. */
interface Asked {
  readonly caller: Identity["caller"];
  readonly header: RequestHeaders;
  readonly path: Record<string, string>;
  readonly query: Record<string, unknown>;
}

async function answer(options: App, id: OperationId, c: HonoContext, reply: Reply): Promise<Response> {
  const operation = operations[id];
  const header = requestHeaders(c);
  const path = pathOf(c);
  const query = queryOf(c.req.url);
  const { caller, refusal } = await options.authenticator.authenticate(
    operation,
    {
      authorization: header("authorization"),
      internalSecret: header("x-internal-secret"),
      projectId: header("x-project-id"),
      queryToken: operation.media === "sse" && typeof query.token === "string" ? query.token : undefined,
      requestId: reply.id,
    },
    path,
  );
  try {
    if (refusal !== null) throw refusal;
    return await answerTo({ caller, header, path, query }, options, id, c, reply);
  } catch (error) {
    if (error instanceof StraitError && error.code === "forbidden") {
      const { scope = null } = error.details;
      const refused = { missingScope: scope as string | null, requestId: reply.id, path: knownPath(id, path) };
      await options.refusals.note({ ...refused, projectId: caller.projectId, actor: caller.actor, operation: id });
    }
    throw error;
  }
}

/** What the path of a refused request names, which nobody has checked yet; nothing where it breaks the contract or is secret. */
function knownPath(id: OperationId, path: Record<string, string>): Record<string, string> {
  try {
    checksOf(id).path(path);
    return Object.values(path).some(mayBeSecret) ? {} : path;
  } catch {
    return {};
  }
}

async function answerTo(
  { caller, header, path, query }: Asked,
  options: App,
  id: OperationId,
  c: HonoContext,
  reply: Reply,
): Promise<Response> {
  const { services, blank } = options;
  const operation = operations[id];
  const checks = checksOf(id);
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

  if (operation.media === "sse") {
    const headers = headersFor(options, reply);
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
