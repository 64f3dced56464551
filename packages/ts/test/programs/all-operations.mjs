import { createClient } from "../../dist/index.js";

const client = createClient({ baseUrl: "https://x", auth: { type: "bearer", token: "t" } });
const input = { pathParams: { eventKey: "k" }, body: { payload: 1 } };
console.log(await client.operationsPromise.postV1EventsByEventKeySend(input));
