import { conflict } from "../domain/errors.ts";
import * as projects from "../store/projects.ts";
import type { Context } from "./context.ts";

/**
 * Makes a project with its default environment.
 *
 * @throws {StraitError} `conflict` when the id is taken. A project is never renamed or moved by creating it again.
 */
export async function createProject(
  { db, clock }: Context,
  input: { readonly id?: string; readonly org_id?: string | null; readonly name: string },
): Promise<projects.ProjectRow> {
  const id = input.id ?? clock.newId("proj");
  const project = await db.transaction((tx) =>
    projects.insert(tx, {
      id,
      org_id: input.org_id ?? null,
      name: input.name,
      default_environment_id: clock.newId("env"),
    }),
  );
  if (!project) throw conflict(`the project id ${JSON.stringify(id)} is taken; choose another one, or leave it out`);
  return project;
}
