import type { UpdateProject } from "@strait/contract";
import { notFound } from "../domain/errors.ts";
import * as projects from "../store/projects.ts";
import { audit } from "./audit.ts";
import type { Caller, Context } from "./context.ts";

/** Changes the fields that are given. @throws {StraitError} `not_found` */
export async function updateProject(
  context: Context,
  caller: Caller,
  id: string,
  change: UpdateProject,
): Promise<projects.ProjectRow> {
  const project = await context.db.transaction(async (tx) => {
    const updated = await projects.update(tx, id, change);
    if (!updated) throw notFound("project", id);
    await audit(context, tx, { ...caller, projectId: id }, "project.update", [id], { changed: Object.keys(change) });
    return updated;
  });
  context.quota.forget(id);
  return project;
}
