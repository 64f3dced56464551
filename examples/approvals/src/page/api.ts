import { createClient, type EventTrigger } from "@strait/ts";

const MAX_LISTED = 200;

/** Where streams are opened. */
const straitUrl = setting("strait-url");

// The server of this page puts its API key in the place of this token.
const { operationsPromise: strait, paginate } = createClient({
  baseUrl: new URL("/strait", location.href).href,
  auth: { type: "bearer", token: setting("page-token") },
});

/** What waits now: the nearest deadline first, then what has none. */
export async function listWaiting(): Promise<EventTrigger[]> {
  const triggers: EventTrigger[] = [];
  const query = { status: "waiting", limit: 100 } as const;
  for await (const trigger of paginate.getV1Events({ query }, { maxItems: MAX_LISTED })) triggers.push(trigger);
  const deadline = ({ expires_at }: EventTrigger) => (expires_at === null ? Infinity : Date.parse(expires_at));
  return triggers.sort((a, b) => (deadline(a) < deadline(b) ? -1 : deadline(a) > deadline(b) ? 1 : 0));
}

/** Names the trigger beside its key, so that an answer is never taken for a later question. */
export async function approve({ id, event_key: eventKey }: EventTrigger, comment: string): Promise<void> {
  const payload = comment === "" ? { approved: true } : { approved: true, comment };
  await strait.postV1EventsByEventKeySend({ pathParams: { eventKey }, body: { payload, trigger_id: id } });
}

/** The run that waits gets the reason. */
export async function reject({ id, event_key: eventKey }: EventTrigger, reason: string): Promise<void> {
  await strait.postV1EventsByEventKeyReject({ pathParams: { eventKey }, body: { reason, trigger_id: id } });
}

/** The address of a key's stream. The token in it opens that one stream, and is good for five minutes. */
export async function streamAddress(eventKey: string): Promise<URL> {
  const { url } = await strait.postV1StreamTokens({ body: { event_key: eventKey } });
  return new URL(straitUrl + url);
}

function setting(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}
