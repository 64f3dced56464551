import { hash } from "node:crypto";
import { described, insertKey } from "./service/api-keys.ts";
import { audit } from "./service/audit.ts";
import { type Context, SERVER } from "./service/context.ts";
import { createProject } from "./service/create-project.ts";
import * as apiKeys from "./store/api-keys.ts";
import * as projects from "./store/projects.ts";

const PROJECT = "dev";

/** Makes sure that a development server has a project, and that the key which it prints works. */
export async function ensureDevelopmentKey(context: Context, key: string): Promise<void> {
  const { db, clock } = context;
  const keyHash = hash("sha256", key);
  if (await apiKeys.findUsable(db, keyHash)) return;
  const project =
    (await projects.find(db, PROJECT)) ?? (await createProject(context, SERVER, { id: PROJECT, name: "Development" }));
  const { id, default_environment_id } = project;
  const given = {
    name: "Development",
    scopes: ["*"],
    environment_id: default_environment_id,
    expires_in_days: null,
  } as const;
  await db.transaction(async (tx) => {
    const made = await insertKey(tx, clock.newId("key"), id, given, key);
    await audit(context, tx, { ...SERVER, projectId: id }, "api_key.create", [made.id], described(made));
  });
}
