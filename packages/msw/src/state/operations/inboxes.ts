import type { Run, StartIfMissing } from "@strait/contract";
import { requireScope, triggerInputOf } from "@strait/server/pure";
import type { Caller } from "../../access.ts";
import { awaitMessage, isUnread, messagesOf, sendMessage, takeMessages } from "../inboxes.ts";
import type { Store } from "../store.ts";
import { pageOf } from "../wire.ts";
import { enabledJob, runOnce } from "./jobs.ts";
import { deadlineOf, executing, found, type Modeled } from "./model.ts";

/** The run of an id, or the one that is started under it. */
function receiverOf(store: Store, runId: string, start: StartIfMissing | undefined, { scopes }: Caller): Run {
  if (start === undefined) return found(store.runs.get(runId), "run", runId);
  // Checked also where nothing is to be started: a request is not to be refused only when it matters.
  requireScope(scopes, "jobs:trigger");
  const input = triggerInputOf(start, runId);
  const job = enabledJob(store, start.job_id, [input], () => "/start_if_missing/payload");
  return store.runs.get(runId) ?? runOnce(store, job, input, null).run;
}

export const inboxOperations: Modeled = {
  getV1RunsByRunIDInbox(store, { pathParams, query }) {
    const { id } = found(store.runs.get(pathParams.runID), "run", pathParams.runID);
    const rows = messagesOf(store, id).filter(
      (message) =>
        (query.name === undefined || message.name === query.name) &&
        (query.unread === undefined || isUnread(message) === query.unread),
    );
    const entries = rows.map(({ key: _, body: _body, ...entry }) => entry);
    return { status: 200, body: pageOf(entries, query) };
  },

  postV1RunsByRunIDInboxByName: (store, { pathParams, body = {}, caller, idempotencyKey }) =>
    sendMessage(store, {
      run: receiverOf(store, pathParams.runID, body.start_if_missing, caller),
      name: pathParams.name,
      payload: body.payload ?? null,
      actor: caller.actor,
      idempotency_key: idempotencyKey,
      body,
    }),

  postSdkV1RunsByRunIDInboxReceive(store, { pathParams, body = {}, caller }) {
    const { names = null, max = 1, on_timeout = "fail", timeout_payload = null, grace_secs = 0 } = body;
    const deadline = deadlineOf(body);
    const run = executing(store, caller, pathParams.runID, "wait");
    const messages = takeMessages(store, run, names, max);
    if (messages.length > 0) return { status: 200, body: { status: "received", messages, trigger: null } };
    const trigger = awaitMessage(store, run, { ...deadline, names, grace_secs, on_timeout, timeout_payload });
    return { status: 200, body: { status: "waiting", messages, trigger } };
  },
};
