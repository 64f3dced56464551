import { connect, postV1EventsByEventKeySend as send } from "../../dist/ops.js";

const strait = connect({ baseUrl: "https://x", auth: { type: "bearer", token: "t" } });
console.log(await send(strait, { pathParams: { eventKey: "k" }, body: { payload: 1 } }));
