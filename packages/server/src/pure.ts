// What of the server needs neither a database nor Node.js. `@strait/msw` is made of it, so that the mocks check, decide and
// refuse as the server does, in its words.

export { forbidden, foreignRunToken, notFound, otherStream, StraitError, unauthorized } from "./domain/errors.ts";
export { envelope, HEADERS, refusalHeaders } from "./wire/envelope.ts";
export { parseBody } from "./wire/json-body.ts";
export { queryOf } from "./wire/query.ts";
export { type RequestChecks, requestChecks } from "./wire/request-checks.ts";
export { encodeFrame, SSE_HEADERS } from "./wire/sse.ts";
