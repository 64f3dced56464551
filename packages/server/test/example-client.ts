import { examples, type OperationId, operations } from "@strait/contract";
import {
  type Answer,
  type AuthType,
  type CallOptions,
  type ClientOptions,
  createClient,
  type Middleware,
  type Paginator,
  type StreamEvent,
} from "@strait/ts";
import { expect } from "vitest";
import { documentedStatuses } from "./contract.ts";
import { type ExampleWorld, startExampleWorld } from "./example-world.ts";
import { listening } from "./listening.ts";

export interface Input extends CallOptions {
  readonly pathParams: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body?: unknown;
}

/** The surfaces of a client by name: here each operation is one of many. */
interface Surfaces {
  readonly operations: Record<string, (input: Input) => Promise<Answer<unknown, unknown>>>;
  readonly stream: Record<string, (input: Input) => AsyncIterable<StreamEvent<unknown>>>;
  readonly paginate: Record<string, (input: Input) => Paginator<unknown, unknown>>;
}

/** A server on a port that holds the example world, and what clients of it need. */
export interface ClientWorld extends ExampleWorld {
  /** Makes a client with the credential that the operation takes. */
  clientFor(id: OperationId, options?: Partial<Pick<ClientOptions, "auth" | "middleware">>): Surfaces;
}

export async function startClientWorld(env?: Record<string, string>): Promise<ClientWorld> {
  const world = await startExampleWorld(env);
  const baseUrl = `http://127.0.0.1:${await listening(world)}`;
  const tokens = { bearer: world.apiKey, runToken: world.runToken, internalSecret: world.internalSecret };
  return {
    ...world,
    clientFor(id, options = {}) {
      const type = credentialOf(id);
      const middleware = [expectDocumented, ...(options.middleware ?? [])];
      const auth = { type, token: tokens[type] };
      const client = createClient({ baseUrl, auth, retries: 0, ...options, middleware });
      return client as unknown as Surfaces;
    },
  };
}

/** No operation answers a status that the contract does not have for it, whatever the test is about. */
const expectDocumented: Middleware = async (request, next) => {
  const response = await next(request);
  const { operationId: id } = request;
  expect.soft(documentedStatuses(id as OperationId), `${id} answers ${response.status}`).toContain(response.status);
  return response;
};

export function credentialOf(id: OperationId): AuthType {
  return operations[id].auth[0] ?? "bearer";
}

/** The example of the contract, with changes. */
export function inputOf(id: OperationId, changes: Partial<Input> = {}): Input {
  return { ...(examples[id].request as Input), ...changes };
}
