// Runs one of the repository's commands on a machine that has Node.js, npm and git, and nothing else.
//
// It installs what is missing, then becomes the command: the program is loaded into this process, so that signals,
// the terminal and the exit code are its own. Plain JavaScript without dependencies, because it runs before they exist.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(path.join(root, "package.json"), "utf8"));

/** What `npm run <name>` loads, and the arguments that stand before the caller's own. */
const commands = {
  bench: ["bench/run.ts"],
  "bench:sdk": ["bench/sdk/run.ts"],
  build: ["scripts/build.ts"],
  check: ["scripts/check.ts"],
  conformance: ["conformance/run.ts"],
  demo: ["examples/demo/src/main.ts"],
  docs: ["node_modules/typedoc/bin/typedoc", "--options", "packages/ts/typedoc.json"],
  explore: ["scripts/explore.ts"],
  format: ["node_modules/@biomejs/biome/bin/biome", "check", "--write"],
  generate: ["scripts/generate.ts"],
  release: ["scripts/release.ts"],
  start: ["packages/server/src/main.ts"],
  test: ["node_modules/vitest/vitest.mjs", "run"],
  typecheck: ["scripts/check.ts", "types"],
};

/** Whether somebody watches: then progress is shown on one line that is written again and again. */
const onTerminal = process.stderr.isTTY === true && !process.env.CI;
const clearLine = onTerminal ? "\r\u001b[K" : "";

function fail(message) {
  process.stderr.write(`${clearLine}${message}\n`);
  process.exit(1);
}

function requireNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [wantedMajor, wantedMinor] = manifest.engines.node
    .replace(/[^\d.]/g, "")
    .split(".")
    .map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  fail(
    `Strait needs Node.js ${wantedMajor}.${wantedMinor} or later, and this is ${process.version}.\n` +
      "Install a newer one from https://nodejs.org (or with your version manager), then run the command again.",
  );
}

/** Identifies what is installed: the locked versions, and the Node.js that native packages were chosen for. */
function installationId() {
  const hash = createHash("sha256");
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml"]) hash.update(readFileSync(path.join(root, file)));
  return hash.update(`${process.version} ${process.platform} ${process.arch}`).digest("hex");
}

async function installDependencies() {
  const stampFile = path.join(root, "node_modules", ".strait-installed");
  const wanted = installationId();
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8") === wanted) return;

  const started = Date.now();
  const output = await runPnpm([
    "install",
    "--frozen-lockfile",
    "--reporter=append-only",
    "--config.confirmModulesPurge=false",
  ]);
  writeFileSync(stampFile, wanted);
  const seconds = ((Date.now() - started) / 1000).toFixed(1);
  const packages = /Packages: \+(\d+)/.exec(output);
  process.stderr.write(
    `${clearLine}Installed ${packages ? `${packages[1]} packages` : "dependencies"} in ${seconds} s\n`,
  );
}

/** Runs the pinned pnpm and resolves to what it printed; ends this process with an explanation when pnpm fails. */
function runPnpm(args) {
  const [name, version] = manifest.packageManager.split("@");
  process.stderr.write(
    `Installing dependencies with ${name} ${version}${onTerminal ? "" : " (about a minute the first time)"} …`,
  );
  if (!onTerminal) process.stderr.write("\n");

  return new Promise((resolve) => {
    const child = spawn("npx", ["--yes", `${name}@${version}`, ...args], {
      cwd: root,
      stdio: ["ignore", "pipe", "pipe"],
      // npm is a batch file on Windows, and only a shell can run one.
      shell: process.platform === "win32",
    });
    let output = "";
    const listen = (chunk) => {
      output += chunk;
      const progress = onTerminal && /resolved (\d+), reused (\d+), downloaded (\d+)[^\n]*$/.exec(output.trimEnd());
      if (progress) {
        const [, all, reused, downloaded] = progress.map(Number);
        process.stderr.write(`${clearLine}Installing dependencies … ${reused + downloaded} of ${all} packages`);
      }
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.on("error", (error) =>
      fail(`npx could not be started (${error.message}). It comes with npm: is npm on the PATH?`),
    );
    child.on("close", (code, signal) => {
      if (code === 0) return resolve(output);
      fail(`${output.trim()}\n\nInstalling dependencies failed (${signal ?? `exit code ${code}`}).\n${wayOut(output)}`);
    });
  });
}

function wayOut(output) {
  if (output.includes("ERR_PNPM_OUTDATED_LOCKFILE")) {
    return `A package.json changed without the lockfile: run "npx ${manifest.packageManager} install" and commit pnpm-lock.yaml.`;
  }
  if (/ENOSPC|EACCES|EPERM/.test(output))
    return `Check the free space and the permissions of ${root}, then run the command again.`;
  if (/ENOTFOUND|ECONNREFUSED|ETIMEDOUT|EAI_AGAIN|ECONNRESET|META_FETCH_FAIL/.test(output)) {
    return 'The package registry cannot be reached: check with "npm ping" (a proxy goes into .npmrc), then run the command again.';
  }
  return `Run the command again; if that does not help, delete ${path.join(root, "node_modules")} first.`;
}

/** Loads the command into this process as if it had been started with `node`. TypeScript goes through tsx. */
async function become([file, ...ownArgs], args) {
  const program = path.join(root, file);
  if (!existsSync(program)) fail(`${file} does not exist.`);
  process.chdir(root);
  process.argv.splice(1, Number.POSITIVE_INFINITY, program, ...ownArgs, ...args);
  if (program.endsWith(".ts")) {
    const loader = import.meta.resolve("tsx");
    process.setSourceMapsEnabled(true);
    process.execArgv.push("--import", loader); // for the processes that the command forks
    await import(loader);
  }
  await import(pathToFileURL(program).href);
}

requireNode();
const [name = "", ...args] = process.argv.slice(2);
const command = commands[name];
if (!command) fail(`Usage: npm run <command>, where <command> is one of: ${Object.keys(commands).join(", ")}`);
await installDependencies();
await become(command, args);
