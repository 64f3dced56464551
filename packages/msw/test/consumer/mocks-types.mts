import { createHandlers, createMockServer, failure, handlers, inTurn, type MockServer } from "@strait/msw";
import { setupServer } from "msw/node";

const strait: MockServer = createMockServer({
  baseUrl: "https://strait.dev",
  apiKeys: { strait_reader: ["events:read"] },
  executor: async (request) => Response.json(await request.json()),
});
setupServer(...strait.handlers).use(handlers.getV1Runs("https://strait.dev", 503));
strait.use({
  getV1EventsByEventKey: ({ pathParams }) => (pathParams.eventKey === "gone" ? 404 : undefined),
  postV1EventsByEventKeySend: inTurn(503, failure("unavailable", { details: { retry_after_secs: 1 } })),
  // @ts-expect-error: there is no such operation.
  getV1Event: 404,
});
createHandlers({
  baseUrl: "https://strait.dev",
  // @ts-expect-error: the operation never answers with this status.
  overrides: { getHealth: 404 },
});
