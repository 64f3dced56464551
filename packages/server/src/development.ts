import { hash } from "node:crypto";
import { insertKey } from "./service/api-keys.ts";
import type { Context } from "./service/context.ts";
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
    (await projects.find(db, PROJECT)) ?? (await createProject(context, { id: PROJECT, name: "Development" }));
  const { id, default_environment_id } = project;
  await insertKey(
    db,
    clock.newId("key"),
    id,
    { name: "Development", scopes: ["*"], environment_id: default_environment_id, expires_in_days: null },
    key,
  );
}
