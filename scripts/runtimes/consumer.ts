import { copyFileSync, cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { publishedPackages, tarballOf } from "../published.ts";
import { readWorkspaceFile, root, type WorkspacePackage } from "../workspace.ts";
import { npmInstall } from "./install.ts";

/** A project of a user, outside of the repository, with the packed packages in it. */
export interface Consumer {
  readonly folder: string;
  remove(): void;
}

/** @throws {Error} When npm cannot install what was packed. */
export async function makeConsumer(): Promise<Consumer> {
  const folder = mkdtempSync(path.join(tmpdir(), "strait-consumer-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const published = publishedPackages();
    for (const item of published) cpSync(path.join(root, item.folder, "test/consumer"), folder, { recursive: true });
    // The same programs, as the types of CommonJS see them.
    for (const file of readdirSync(folder).filter((name) => name.endsWith(".mts"))) {
      copyFileSync(path.join(folder, file), path.join(folder, file.replace(/mts$/, "cts")));
    }
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }));
    await npmInstall(folder, [...published.map(tarballOf), ...peersOf(published)]);
    return { folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** What the packages leave to their users, in the versions that we try; of optional ones npm installs none by itself. */
function peersOf(packages: readonly WorkspacePackage[]): string[] {
  const { catalog } = readWorkspaceFile();
  const names = packages.flatMap(({ manifest }) => Object.keys(manifest.peerDependencies ?? {}));
  return [...new Set(names)].map((name) => `${name}@${catalog[name]}`);
}
