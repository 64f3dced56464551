// Every package.json says the same things the same way. Prints what differs, and why it should not.

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import {
  listPackages,
  type Manifest,
  readManifest,
  readWorkspaceFile,
  root,
  type WorkspacePackage,
} from "./workspace.ts";

const problems: string[] = [];
const rootManifest = readManifest(".");
const packages = listPackages();
const { catalog } = readWorkspaceFile();

for (const item of packages) {
  checkIdentity(item);
  checkVersions(item);
  if (item.manifest.private) checkPrivate(item);
  else checkPublished(item);
}
checkRoot();

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function expect(holds: boolean, folder: string, problem: string): void {
  if (!holds) problems.push(`${folder}/package.json: ${problem}`);
}

function checkIdentity({ folder, manifest }: WorkspacePackage): void {
  const [parent, name] = folder.split("/");
  if (parent === "packages") expect(manifest.name === `@strait/${name}`, folder, `"name" should be "@strait/${name}"`);
  else expect(manifest.private === true, folder, '"private" should be true: only packages/* are published');
  expect(Boolean(manifest.description), folder, '"description" is missing');
  expect(manifest.license === rootManifest.license, folder, `"license" should be "${rootManifest.license}"`);
  expect(manifest.type === "module", folder, '"type" should be "module"');
  const node = rootManifest.engines?.node;
  expect(manifest.engines?.node === node, folder, `"engines.node" should be "${node}", as in the root`);

  const tsconfig = path.join(root, folder, "tsconfig.json");
  const extendsBase = existsSync(tsconfig) && readFileSync(tsconfig, "utf8").includes("tsconfig.base.json");
  expect(extendsBase, folder, "a tsconfig.json beside it should extend tsconfig.base.json");
  for (const target of Object.values(manifest.exports ?? {})) {
    const isSource = typeof target === "string" && existsSync(path.join(root, folder, target));
    expect(isSource, folder, `"exports" should name existing source files, not ${JSON.stringify(target)}`);
  }
}

/** One version of everything: from the catalog, or from the workspace. */
function checkVersions({ folder, manifest }: WorkspacePackage): void {
  for (const [name, version] of dependenciesOf(manifest)) {
    const wanted = name.startsWith("@strait/") ? "workspace:*" : "catalog:";
    expect(version === wanted, folder, `"${name}" should be "${wanted}", not "${version}"`);
  }
}

function checkPrivate({ folder, manifest }: WorkspacePackage): void {
  expect(manifest.publishConfig === undefined, folder, '"publishConfig" is of no use in a private package');
}

function checkPublished({ folder, manifest }: WorkspacePackage): void {
  expect(Boolean(manifest.version), folder, '"version" is missing');
  expect(manifest.publishConfig?.access === "public", folder, '"publishConfig.access" should be "public"');
  const entries = Object.keys(manifest.exports ?? {});
  const published = Object.keys(manifest.publishConfig?.exports ?? {}).filter((entry) => entry !== "./package.json");
  const same = JSON.stringify(entries) === JSON.stringify(published);
  expect(same, folder, '"publishConfig.exports" should have the entries of "exports" (and may have ./package.json)');
  expect(manifest.files?.includes("dist") === true, folder, '"files" should include "dist"');
  expect(existsSync(path.join(root, folder, "README.md")), folder, "a README.md beside it should say what it is for");
  for (const name of Object.keys(manifest.dependencies ?? {})) {
    const ours = packages.find((other) => other.manifest.name === name);
    expect(!ours?.manifest.private, folder, `"${name}" is private, so it is bundled: move it to "devDependencies"`);
  }
}

/** The root writes its versions out, so that `npm install` there fails with a sentence; they equal the catalog's. */
function checkRoot(): void {
  expect(Object.keys(rootManifest.dependencies ?? {}).length === 0, ".", 'the root has no "dependencies"');
  for (const [name, version] of Object.entries(rootManifest.devDependencies ?? {})) {
    expect(/^\d/.test(version), ".", `"${name}" should be an exact version, not "${version}"`);
    const shared = catalog[name];
    expect(shared === undefined || shared === version, ".", `"${name}" should be ${shared}, as in the catalog`);
  }
}

function dependenciesOf(manifest: Manifest): [name: string, version: string][] {
  const { dependencies, devDependencies, peerDependencies, optionalDependencies } = manifest;
  return [dependencies, devDependencies, peerDependencies, optionalDependencies].flatMap((group) =>
    Object.entries(group ?? {}),
  );
}
