import { type CreateStreamToken, operations, type StreamToken } from "@strait/contract";
import { notFound } from "../domain/errors.ts";
import { oneOf } from "../domain/request-rules.ts";
import * as keyWaits from "../store/key-waits.ts";
import * as runs from "../store/runs.ts";
import * as workflowRuns from "../store/workflow-runs.ts";
import { requireScope } from "../wire/credentials.ts";
import type { Caller, Context } from "./context.ts";
import type { SignedTokens } from "./signed-token.ts";

/** What a stream token says: who asked for it, and which one stream it opens. */
export interface StreamTokenClaims {
  /** The actor. */
  readonly sub: string;
  /** The project and the environment. */
  readonly pid: string;
  readonly env: string;
  /** The path parameter of the stream, and its value. */
  readonly par: string;
  readonly val: string;
}

export const STREAM_TOKEN_ISSUER = "strait:stream-token";
const DEFAULT_SECS = 300;

const FIELDS = ["event_key", "run_id", "workflow_run_id"] as const;
type Field = (typeof FIELDS)[number];

interface Stream {
  readonly what: string;
  readonly parameter: string;
  readonly operation: { readonly path: string; readonly scope: string | null };
  find(context: Context, caller: Caller, value: string): Promise<unknown>;
}

const streams: { readonly [Name in Field]: Stream } = {
  event_key: {
    what: "event trigger",
    parameter: "eventKey",
    operation: operations.getV1EventsByEventKeyStream,
    find: ({ db }, { projectId, environmentId }, key) =>
      keyWaits.findByKey(db, { project_id: projectId, environment_id: environmentId, event_key: key }),
  },
  run_id: {
    what: "run",
    parameter: "runID",
    operation: operations.getV1RunsByRunIDStream,
    find: ({ db }, { projectId }, id) => runs.find(db, projectId, id),
  },
  workflow_run_id: {
    what: "workflow run",
    parameter: "workflowRunID",
    operation: operations.getV1WorkflowRunsByWorkflowRunIDStream,
    find: ({ db }, { projectId }, id) => workflowRuns.find(db, projectId, id),
  },
};

/**
 * Makes a token that opens the stream of one resource until it expires (T6).
 *
 * @param request - Its event key is in the form in which keys are stored.
 * @throws {StraitError} `validation_error` unless exactly one resource is named; `forbidden` when the caller may not read
 *   it, `not_found` when it is not there.
 */
export async function createStreamToken(
  context: Context,
  tokens: SignedTokens<StreamTokenClaims>,
  caller: Caller,
  { expires_in_secs = DEFAULT_SECS, ...resource }: CreateStreamToken,
): Promise<StreamToken> {
  const [field, value] = oneOf(FIELDS, resource);
  const { what, parameter, operation, find } = streams[field];
  requireScope(caller.scopes, operation.scope);
  if (!(await find(context, caller, value))) throw notFound(what, value);

  const { actor: sub, projectId: pid, environmentId: env } = caller;
  const { token, expiresAt } = tokens.sign({ sub, pid, env, par: parameter, val: value }, expires_in_secs);
  const path = operation.path.replace(`{${parameter}}`, encodeURIComponent(value));
  return { token, expires_at: timestamp(expiresAt), url: `${path}?token=${token}` };
}

/** As the database writes times: with microseconds. */
function timestamp(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace("Z", "000Z");
}
