import { type Client, createClient } from "@strait/ts";
import type { RunningServer } from "./server.ts";

/** A project with a key that may do everything in it. */
export interface Project {
  readonly id: string;
  readonly apiKey: string;
  /** What the server signs its dispatches with (`whsec_…`). */
  readonly signingSecret: string;
  /** Under the project's API key. */
  readonly client: Client<"bearer">;
}

/** Makes a new project, so that nothing of an earlier run is in the way. Only the internal secret allows that. */
export async function createProject(
  { url: baseUrl, internalSecret: token }: Pick<RunningServer, "url" | "internalSecret">,
  name: string,
): Promise<Project> {
  const operator = createClient({ baseUrl, auth: { type: "internalSecret", token } });
  const { id, signing_secret } = await operator.operationsPromise.postV1Projects({ body: { name } });

  const onBehalf = createClient({ baseUrl, auth: { type: "internalSecret", token, projectId: id } });
  const { key } = await onBehalf.operationsPromise.postV1ApiKeys({ body: { name, scopes: ["*"] } });

  const client = createClient({ baseUrl, auth: { type: "bearer", token: key } });
  return { id, apiKey: key, signingSecret: signing_secret, client };
}
