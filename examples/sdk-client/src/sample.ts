// The guide's sample of the client, between the markers and line for line: the text of the guide has no indentation. A
// test compares it and runs it. The guide leaves open which run asks, and which document it is about.

const runID = process.env.RUN_ID ?? "";
const documentId = process.env.DOCUMENT_ID ?? "";

// sample: begin
import { createClient } from "@strait/ts";
const runClient = createClient({
baseUrl: "https://strait.dev",
auth: { type: "runToken", token: process.env.RUN_TOKEN! },
});
const eventClient = createClient({
baseUrl: "https://strait.dev",
auth: { type: "bearer", token: process.env.STRAIT_API_KEY! },
});
// Inside your job executor — pause and wait for human review
const trigger = await runClient.operationsPromise.postSdkV1RunsByRunIDWaitForEvent({
pathParams: { runID },
body: {
event_key: `review:${documentId}`,
timeout_secs: 172800,
notify_url: "https://myapp.com/webhook/review-ready",
},
});
// In your review dashboard — approve the document
const resolved = await eventClient.operationsPromise.postV1EventsByEventKeySend({
pathParams: { eventKey: `review:${documentId}` },
body: { payload: { approved: true, reviewer: "alice", comments: "Looks good" } },
});
// Check trigger status
const status = await eventClient.operationsPromise.getV1EventsByEventKey({
pathParams: { eventKey: `review:${documentId}` },
});
console.log(status.status); // "received"
// sample: end
