import path from "node:path";
import { pathToFileURL } from "node:url";
import type { Workshop } from "./prepare.ts";

const token = "strait_bench_token";
const eventKey = "aml:user-456";
const body = { payload: { result: "clear", risk_score: 0.05, tags: ["a", "b"] } };

/** One client of the contest, as the same call by its means. */
export interface Contender {
  readonly name: string;
  /** What the gates are about. */
  readonly isOurs?: boolean;
  /** It does not go through `fetch`, so that a `fetch` that answers from memory says nothing of it. */
  readonly hasOwnTransport?: boolean;
  /** Resolves to a call, which resolves to the parsed answer. */
  open(workshop: Workshop, baseUrl: string): Promise<() => Promise<unknown>>;
}

type Call = (...input: unknown[]) => Promise<{ readonly data: unknown }>;

/** The first is what the others are measured against. */
export const contenders: readonly Contender[] = [
  {
    name: "raw fetch",
    open: async (_workshop, baseUrl) => async () => {
      const headers = {
        accept: "application/json",
        "content-type": "application/json",
        authorization: `Bearer ${token}`,
      };
      const url = `${baseUrl}/v1/events/${encodeURIComponent(eventKey)}/send`;
      return (await fetch(url, { method: "POST", headers, body: JSON.stringify(body) })).json();
    },
  },
  {
    name: "@strait/ts",
    isOurs: true,
    open: async (workshop, baseUrl) => {
      const { createClient } = await load<Ours>(path.join(workshop.ours, "dist", "index.js"));
      const client = createClient({ baseUrl, auth: { type: "bearer", token } });
      return () => client.operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey }, body });
    },
  },
  {
    name: "@strait/ts on undici",
    hasOwnTransport: true,
    open: async (workshop, baseUrl) => {
      const { createClient } = await load<Ours>(path.join(workshop.ours, "dist", "index.js"));
      const { undiciFetch } = await load<{ undiciFetch(request: unknown): unknown }>(
        path.join(workshop.ours, "dist", "node.js"),
      );
      const { request } = await loadPackage<{ readonly request: unknown }>(workshop, "undici");
      const client = createClient({ baseUrl, auth: { type: "bearer", token }, fetch: undiciFetch(request) });
      return () => client.operationsPromise.postV1EventsByEventKeySend({ pathParams: { eventKey }, body });
    },
  },
  {
    name: "openapi-fetch",
    open: async (workshop, baseUrl) => {
      const { default: create } = await loadPackage<{ default(options: object): { readonly POST: Call } }>(
        workshop,
        "openapi-fetch",
      );
      const client = create({ baseUrl, headers: { authorization: `Bearer ${token}` } });
      const input = { params: { path: { eventKey } }, body };
      return async () => (await client.POST("/v1/events/{eventKey}/send", input)).data;
    },
  },
  {
    name: "hey-api",
    open: async (workshop, baseUrl) => {
      const { createClient, postV1EventsByEventKeySend } = await load<{
        createClient(options: object): unknown;
        readonly postV1EventsByEventKeySend: Call;
      }>(path.join(workshop.folder, "gen", "hey-api.mjs"));
      const client = createClient({ baseUrl, auth: () => token });
      return async () => (await postV1EventsByEventKeySend({ client, path: { eventKey }, body })).data;
    },
  },
  {
    name: "redocly, all features on",
    open: async (workshop, baseUrl) => {
      const { createClient, OPERATIONS } = await load<{
        createClient(
          operations: unknown,
          options: object,
        ): { postV1EventsByEventKeySend(input: object): Promise<unknown> };
        readonly OPERATIONS: unknown;
      }>(path.join(workshop.folder, "gen", "redocly.mjs"));
      const features = { retry: { retries: 2 }, timeout: 60_000, idempotencyKey: true };
      const client = createClient(OPERATIONS, { serverUrl: baseUrl, auth: { bearer: token }, ...features });
      return () => client.postV1EventsByEventKeySend({ path: { eventKey }, body });
    },
  },
  {
    name: "openai's core",
    open: async (workshop, baseUrl) => {
      const { OpenAI } = await loadPackage<{
        OpenAI: new (options: object) => { post(path: string, options: object): Promise<unknown> };
      }>(workshop, "openai");
      const client = new OpenAI({ apiKey: token, baseURL: baseUrl });
      return () => client.post(`/v1/events/${encodeURIComponent(eventKey)}/send`, { body });
    },
  },
];

interface Ours {
  createClient(options: object): {
    readonly operationsPromise: { postV1EventsByEventKeySend(input: object): Promise<unknown> };
  };
}

async function load<Module>(file: string): Promise<Module> {
  return (await import(pathToFileURL(file).href)) as Module;
}

/** Loads a package as a program in the workshop would. */
export async function loadPackage<Module>({ folder }: Pick<Workshop, "folder">, name: string): Promise<Module> {
  const from = await load<{ load(id: string): Promise<Module> }>(path.join(folder, "import.mjs"));
  return from.load(name);
}
