import { copyFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { publishedPackages, tarballOf } from "../published.ts";
import { root } from "../workspace.ts";
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
    cpSync(path.join(root, "packages/ts/test/consumer"), folder, { recursive: true });
    // The same program, as the types of CommonJS see it.
    copyFileSync(path.join(folder, "types.mts"), path.join(folder, "types.cts"));
    writeFileSync(path.join(folder, "package.json"), JSON.stringify({ private: true }));
    await npmInstall(folder, publishedPackages().map(tarballOf));
    return { folder, remove };
  } catch (error) {
    remove();
    throw error;
  }
}
