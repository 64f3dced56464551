import { examples, type OperationId, operations } from "@strait/contract";
import { expect, test } from "vitest";
import { type Answer, type ApiError, createClient } from "../src/index.ts";

type Operations = Record<string, (input: object) => Promise<Answer<unknown, ApiError>>>;

const tags: Readonly<Record<number, string>> = {
  400: "BadRequestError",
  401: "UnauthorizedError",
  403: "ForbiddenError",
  404: "NotFoundError",
  409: "ConflictError",
  413: "PayloadTooLargeError",
  415: "UnsupportedMediaTypeError",
  422: "UnprocessableError",
  429: "RateLimitedError",
};

const answering = Object.values(operations).filter(({ media }) => media !== "sse");

test.each(answering.map(({ id }) => id))("every error that the contract documents of %s has its class", async (id) => {
  const responses: Readonly<Record<number, unknown>> = examples[id as OperationId].responses;
  const statuses = Object.keys(responses)
    .map(Number)
    .filter((status) => status >= 400);
  expect(statuses).toContain(500);

  for (const status of statuses) {
    const client = createClient({
      baseUrl: "https://strait.dev",
      auth: { type: operations[id].auth[0] ?? "bearer", token: "strait_test_0123456789" },
      retries: 0,
      fetch: async () => Response.json(responses[status], { status }),
    });

    const answer = await (client.operations as unknown as Operations)[id]?.(examples[id].request);

    const { error: envelope, request_id } = responses[status] as { error: { code: string }; request_id: string };
    expect(answer?.error).toMatchObject({
      _tag: tags[status] ?? "ServerError",
      operationId: id,
      status,
      code: envelope.code,
      requestId: request_id,
      body: responses[status],
    });
  }
});
