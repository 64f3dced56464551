import type { Project } from "@strait/contract";
import { notFound } from "../../domain/errors.ts";
import { createProject } from "../../service/create-project.ts";
import type { Signer } from "../../service/signing.ts";
import { updateProject } from "../../service/update-project.ts";
import * as projects from "../../store/projects.ts";
import type { HandlersOf } from "../handlers.ts";
import { pageOf } from "../page.ts";

/** The signing secret is not in the row: it is derived. */
function withSecret(signer: Signer, { signing_version, ...project }: projects.ProjectRow): Project {
  return { ...project, signing_secret: signer.secretOf(project.id, signing_version) };
}

export const projectsRoutes: HandlersOf<"projects"> = {
  async postV1Projects({ context, caller, signer, body }) {
    return withSecret(signer, await createProject(context, caller, body));
  },

  async getV1Projects({ context, signer, query }) {
    const page = await projects.list(context.db, pageOf(query));
    return { ...page, data: page.data.map((project) => withSecret(signer, project)) };
  },

  async patchV1ProjectsByProjectID({ context, caller, signer, path, body }) {
    return withSecret(signer, await updateProject(context, caller, path.projectID, body));
  },

  async getV1ProjectsByProjectID({ context, signer, path }) {
    const project = await projects.find(context.db, path.projectID);
    if (!project) throw notFound("project", path.projectID);
    return withSecret(signer, project);
  },
};
