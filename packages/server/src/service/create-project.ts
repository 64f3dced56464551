import type { CreateProject } from "@strait/contract";
import { DEFAULT_MAX_UNREAD } from "../domain/defaults.ts";
import { conflict } from "../domain/errors.ts";
import * as projects from "../store/projects.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";

/**
 * Makes a project with its default environment.
 *
 * @throws {StraitError} `conflict` when the id is taken. A project is never renamed or moved by creating it again.
 */
export async function createProject(
  context: Context,
  caller: Caller,
  input: CreateProject,
): Promise<projects.ProjectRow> {
  const { db, clock } = context;
  const id = input.id ?? clock.newId("proj");
  return db.transaction(async (tx) => {
    const project = await projects.insert(tx, {
      id,
      org_id: input.org_id ?? null,
      name: input.name,
      default_environment_id: clock.newId("env"),
      max_active_event_triggers: input.max_active_event_triggers ?? null,
      max_buffered_events_per_key: input.max_buffered_events_per_key ?? 1_000,
      max_unread_messages_per_run: input.max_unread_messages_per_run ?? DEFAULT_MAX_UNREAD,
    });
    if (!project) throw conflict(`the project id ${JSON.stringify(id)} is taken; choose another one, or leave it out`);
    await audit(context, tx, { ...caller, projectId: id }, "project.create", [id], { name: project.name });
    return project;
  });
}
