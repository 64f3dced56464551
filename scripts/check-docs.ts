// Checks the Markdown pages: every link inside the repository leads somewhere, and every ```ts block compiles under the
// strict configuration. A block marked ```ts continued goes on where the block before it ended.

import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { listFiles } from "./list-files.ts";
import { anchorsOf, linksOf, programsOf } from "./markdown.ts";
import { runTool } from "./run-command.ts";
import { listPackages, root } from "./workspace.ts";

const pages = listFiles().filter((file) => file.endsWith(".md") && !path.basename(file).startsWith("CHANGELOG"));
const problems = [...pages.flatMap(brokenLinks), ...(await uncompilableBlocks())];

for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;

function read(page: string): string {
  return readFileSync(path.join(root, page), "utf8");
}

function brokenLinks(page: string): string[] {
  return linksOf(read(page)).flatMap(({ line, target }) => {
    if (/^[a-z][a-z+.-]*:/i.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const linked = file === "" ? page : path.posix.join(path.posix.dirname(page), decodeURI(file));
    if (!existsSync(path.join(root, linked))) return [`${page}:${line}: ${target} does not exist`];
    if (!anchor || !linked.endsWith(".md") || anchorsOf(read(linked)).has(anchor)) return [];
    return [`${page}:${line}: ${linked} has no heading #${anchor}`];
  });
}

/** Compiles the blocks of all pages as one program, in a folder where every package of the workspace can be imported. */
async function uncompilableBlocks(): Promise<string[]> {
  const folder = mkdtempSync(path.join(realpathSync(tmpdir()), "strait-docs-"));
  try {
    const origins = new Map<string, { page: string; line: number }>();
    for (const page of pages) {
      for (const { line, source } of programsOf(read(page))) {
        const name = `${page.replaceAll("/", "--")}-${line}.ts`;
        origins.set(name, { page, line });
        // Blank lines put the block where it stands in its page, so that the compiler's line numbers are the page's.
        writeFileSync(path.join(folder, name), `${source}\nexport {};\n`);
      }
    }
    if (origins.size === 0) return [];
    writeFileSync(path.join(folder, "package.json"), '{ "type": "module" }');
    const extended = path.join(root, "tsconfig.base.json");
    writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify({ extends: extended, include: ["*.ts"] }));
    linkPackages(path.join(folder, "node_modules"));

    const { ok, output } = await runTool("tsc", ["--project", folder, "--pretty", "false"]);
    return ok ? [] : output.split("\n").map((message) => inPage(message, origins));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Turns `../../tmp/…/README.md-12.ts(14,3): error …` into `README.md:14: error …`. */
function inPage(message: string, origins: ReadonlyMap<string, { page: string }>): string {
  const [, file = "", line, rest] = /^(\S+)\((\d+),\d+\): (.*)$/.exec(message) ?? [];
  const origin = origins.get(path.basename(file));
  return origin ? `${origin.page}:${line}: ${rest}` : message;
}

/** Links every package of the workspace, and everything that one of them depends on, into `folder`. */
function linkPackages(folder: string): void {
  for (const { folder: source, manifest } of listPackages()) {
    if (manifest.name) link(path.join(root, source), path.join(folder, manifest.name));
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.devDependencies })) {
      link(path.join(root, source, "node_modules", name), path.join(folder, name));
    }
  }
  link(path.join(root, "node_modules", "@types", "node"), path.join(folder, "@types", "node"));
}

function link(target: string, place: string): void {
  if (existsSync(place) || !existsSync(target)) return;
  mkdirSync(path.dirname(place), { recursive: true });
  symlinkSync(target, place, "junction");
}
