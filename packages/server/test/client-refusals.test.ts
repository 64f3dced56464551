import { type OperationId, operations } from "@strait/contract";
import {
  type ApiError,
  BadRequestError,
  ConflictError,
  ForbiddenError,
  NotFoundError,
  PayloadTooLargeError,
  RateLimitedError,
  RunTokenExpiredError,
  UnauthorizedError,
  UnprocessableError,
  UnsupportedMediaTypeError,
} from "@strait/ts";
import { describe, expect, test } from "vitest";
import { contentsOf } from "./contents.ts";
import { documentedStatuses } from "./contract.ts";
import { type ClientWorld, inputOf, startClientWorld } from "./example-client.ts";
import { operationIds } from "./example-world.ts";
import { ONE_STREAM, plainRefusals, type Refusal, stagedRefusals } from "./refusals.ts";

const errorClasses: Readonly<Record<number, typeof ApiError>> = {
  400: BadRequestError,
  401: UnauthorizedError,
  403: ForbiddenError,
  404: NotFoundError,
  409: ConflictError,
  413: PayloadTooLargeError,
  415: UnsupportedMediaTypeError,
  422: UnprocessableError,
  429: RateLimitedError,
};

/** Every 4xx that the contract documents, with its operation: whatever is added there, is to be driven here. */
const documented = operationIds.flatMap((id) =>
  documentedStatuses(id)
    .filter((status) => status >= 400 && status < 500)
    .map((status) => ({ id, status })),
);

const STAGED: readonly number[] = [409, 422, 429];
const staged = documented.filter(({ status }) => STAGED.includes(status));
const plain = [...new Set(documented.map(({ status }) => status))].filter((status) => !STAGED.includes(status));

/** What the client makes of the refusal; a stream throws it. */
async function errorOf(world: ClientWorld, id: OperationId, { input, auth, tamper }: Refusal): Promise<unknown> {
  const client = world.clientFor(id, { ...(auth && { auth }), ...(tamper && { middleware: [tamper] }) });
  const given = inputOf(id, { ...input, retries: 0 });
  if (operations[id].media !== "sse") return (await client.operations[id]?.(given))?.error;
  try {
    for await (const event of client.stream[id]?.(given) ?? []) return event;
  } catch (error) {
    return error;
  }
  return undefined;
}

/** What is stored, but for the rows that stand for keys, which tell when somebody asked for one. */
async function storedIn({ db }: ClientWorld): Promise<Record<string, string>> {
  const { event_keys: _, ...contents } = await contentsOf(db);
  return contents;
}

function expectRefusal(id: OperationId, status: number, { code }: Refusal, error: unknown): void {
  const what = `${id}: ${code}`;
  expect.soft(error, what).toBeInstanceOf(code === "token_expired" ? RunTokenExpiredError : errorClasses[status]);
  expect.soft(error, what).toMatchObject({ operationId: id, status, code, attempts: 1 });
  const { requestId, headers, body } = error as ApiError<{ request_id: string }>;
  expect.soft(requestId, what).toMatch(/./);
  expect.soft([headers.get("x-request-id"), body.request_id], what).toEqual([requestId, requestId]);
}

describe(`each of the ${documented.length} refusals that the operations document is answered, and the client's error`, () => {
  test.each(plain)("with %i, and nothing changes", async (status) => {
    const world = await startClientWorld();
    const refusals: [OperationId, Refusal][] = [];
    for (const { id } of documented.filter((one) => one.status === status)) {
      const ways = await plainRefusals(world, id, status);
      expect.soft(ways, `nothing gets a ${status} of ${id}`).not.toEqual([]);
      refusals.push(...ways.map((refusal): [OperationId, Refusal] => [id, refusal]));
    }
    const before = await storedIn(world);

    for (const [id, refusal] of refusals) expectRefusal(id, status, refusal, await errorOf(world, id, refusal));

    expect(await storedIn(world)).toEqual(before);
  });

  test.each(staged)("with $status by $id, and nothing changes but what is recorded", async ({ id, status }) => {
    const refusals = stagedRefusals(id, status);
    expect(refusals).not.toEqual([]);

    for (const refusal of refusals) {
      const world = await startClientWorld(ONE_STREAM);
      await refusal.before?.(world);
      const before = await storedIn(world);

      const error = await errorOf(world, id, refusal);

      expectRefusal(id, status, refusal, error);
      if (!refusal.isRecorded) expect(await storedIn(world)).toEqual(before);
    }
  });
});
