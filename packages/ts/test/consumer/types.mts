import { type Client, createClient, type EventTrigger, isStraitError, type JsonValue } from "@strait/ts";
import { createClientFromEnv } from "@strait/ts/node";
import type { components } from "@strait/ts/openapi";
import { connect, postV1EventsByEventKeySend } from "@strait/ts/ops";
import { createQueryOptions } from "@strait/ts/react-query";
import { answerSchemas, createValidator, eventTriggerSchema, type Schema } from "@strait/ts/schemas";
import { verifyWebhook } from "@strait/ts/webhooks";

const runClient = createClient({ baseUrl: "https://strait.dev", auth: { type: "runToken", token: "t" } });
const eventClient: Client<"bearer"> = createClientFromEnv();

export async function useClient(runID: string, documentId: string): Promise<void> {
  const trigger = await runClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
    pathParams: { runID },
    body: { event_key: `review:${documentId}`, timeout_secs: 172800 },
  });
  const opened: string = trigger.trigger_id;
  const event: EventTrigger = await eventClient.operationsPromise.getV1EventsByEventKey({
    pathParams: { eventKey: opened },
  });
  const open: components["schemas"]["EventTrigger"]["status"] = "waiting";
  const isWaiting: boolean = event.status === open;
  const payload: JsonValue = event.response_payload;

  for await (const { event_key } of eventClient.paginate.getV1Events({ query: { status: "waiting" } })) {
    const key: string = event_key;
    for await (const { data } of eventClient.stream.getV1EventsByEventKeyStream({ pathParams: { eventKey: key } })) {
      const status: string = data.status;
      if (status === "received") break;
    }
  }
  const ended: EventTrigger = await eventClient.waitUntil(event);
  const strait = connect({ baseUrl: "https://strait.dev", auth: { type: "bearer", token: "t" } });
  await postV1EventsByEventKeySend(strait, { pathParams: { eventKey: ended.event_key }, body: { payload } });
  await verifyWebhook({ headers: {}, body: String(isWaiting) }, { secret: "whsec_" });
  const { data } = await eventClient.paths.GET("/v1/events/{eventKey}", { params: { path: { eventKey: "k" } } });
  const status: string | undefined = data?.status;

  const { queryFn } = createQueryOptions(eventClient).queryOptions.getV1EventsByEventKey({
    pathParams: { eventKey: "k" },
  });
  const queried: EventTrigger = await queryFn({ signal: new AbortController().signal });
  const schema: Schema<EventTrigger> = eventTriggerSchema();
  schema.parse(queried);
  const validator = createValidator(answerSchemas, { validate: "error" });
  createClient({ baseUrl: "https://strait.dev", auth: { type: "bearer", token: "t" }, validator });

  const answer = await eventClient.operations.deleteV1EventsByEventKey({ pathParams: { eventKey: status ?? "" } });
  if (!answer.ok && answer.error._tag === "ConflictError") {
    const code: string = answer.error.body.error.code;
    if (isStraitError(answer.error)) throw new Error(code);
  }

  // @ts-expect-error: there is no such operation.
  eventClient.operationsPromise.getV1Event;
  // @ts-expect-error: an API key does not act for a run.
  eventClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent;
  // @ts-expect-error: the path parameter has another name.
  await eventClient.operationsPromise.getV1EventsByEventKey({ pathParams: { key: "k" } });
  // @ts-expect-error: the body is required.
  await eventClient.operationsPromise.postV1Jobs();
  // @ts-expect-error: the field has another name.
  await runClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({ pathParams: { runID }, body: { key: "k" } });
}
