import path from "node:path";
import { listPackages, root, type WorkspacePackage } from "./workspace.ts";

/** Where `scripts/pack.ts` puts what a release would publish. */
export const packedFolder = path.join(root, "node_modules", ".cache", "packed");

/** The packages that we publish. @throws {Error} When there is none. */
export function publishedPackages(): WorkspacePackage[] {
  const published = listPackages().filter(({ manifest }) => !manifest.private);
  if (published.length === 0) throw new Error("No package is published: is `private` set by mistake?");
  return published;
}

/** The file that `pnpm pack` makes of a package. */
export function tarballOf({ manifest }: WorkspacePackage): string {
  const name = manifest.name?.replace("@", "").replace("/", "-");
  return path.join(packedFolder, `${name}-${manifest.version}.tgz`);
}
