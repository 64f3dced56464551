// `npm run demo`: two approvals on a real server, from end to end. Ends with 0 only when everything that it shows happened.

import { join, resolve } from "node:path";
import { createProject } from "@strait/example-support/project";
import { type RunningServer, startServer } from "@strait/example-support/server";
import { createChecklist, Unmet } from "./checklist.ts";
import { playKyc } from "./kyc.ts";
import { playReview } from "./review.ts";
import { openScreen } from "./screen.ts";

/** As shells count: 128 and the number of the signal. */
const exitCodes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 } as const;

/** Somebody wants the demo to end. */
class Interrupted extends Error {
  readonly exitCode: number;

  constructor(signal: keyof typeof exitCodes) {
    super(`Interrupted by ${signal}`);
    this.exitCode = exitCodes[signal];
  }
}

const screen = openScreen(process.stdout, process.env);
/** Ends the demo before its end. */
const stop = new AbortController();
const checklist = createChecklist(stop.signal);

async function main(): Promise<void> {
  const startedAt = performance.now();
  const elapsed = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`;
  screen.title("Strait: jobs and workflows that wait for people and for other systems");

  const setUp = screen.panel("0  A server");
  setUp.set("server", "active", "starting, with its own PostgreSQL …");
  const server = await startServer({ folder: new URL("..", import.meta.url), dataDir, signal: stop.signal });
  setUp.set("server", "done", `${server.url}, with its own PostgreSQL, ready in ${elapsed()}`);
  for (const note of server.log.split("\n").filter(Boolean)) setUp.set(note, "idle", note);
  void server.ended.then((how) => stop.abort(new Error(`The server ended by itself: ${how}`)));

  let failure: Error | undefined;
  try {
    await play(server);
  } catch (error) {
    failure = (stop.signal.aborted ? stop.signal.reason : error) as Error;
  }
  await server.stop().catch((error: Error) => {
    failure ??= error;
  });
  if (failure) {
    if (server.log !== "") process.stderr.write(`\nThe server's log:\n${server.log}`);
    throw failure;
  }

  const summary = screen.panel(
    `Done in ${elapsed()}: ${checklist.kept.length} of ${checklist.kept.length} checks passed, and the server has stopped`,
  );
  for (const promise of checklist.kept) summary.set(promise, "done", promise);
  screen.text("Next: `npm start` leaves a server running, with a key and commands to try. This was examples/demo.");
}

/** Everything between the start of the server and its end. */
async function play(server: RunningServer): Promise<void> {
  const scenes = new AbortController();
  try {
    const project = await createProject(server, "Demo");
    const signal = AbortSignal.any([stop.signal, scenes.signal]);
    const stage = { baseUrl: server.url, project, screen, checklist, signal };
    await playKyc(stage);
    await playReview(stage);
  } finally {
    // Ends what still streams, so that the server need not wait for it.
    scenes.abort();
  }
}

/** Beside that of `npm start`, where a place for data was chosen. */
const { STRAIT_DATA_DIR } = process.env;
const dataDir = STRAIT_DATA_DIR ? join(resolve(STRAIT_DATA_DIR), "demo") : undefined;

for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one does not wait for the server.
    if (stop.signal.aborted) process.exit(exitCodes[signal]);
    stop.abort(new Interrupted(signal));
  });
}

const HELP = `npm run demo

Plays two approvals on a real server, from end to end, in a few seconds: a workflow that waits for another system, and a
job that pauses for a reviewer. Starts a server with a PostgreSQL of its own on a free port, and stops it. Exits with 0 only
when everything that it shows has happened. It takes no arguments.

STRAIT_DATA_DIR   where the data stays, in the folder "demo"; examples/demo/.strait by default
NO_COLOR          set: no colors

examples/demo/README.md says where the code of each scene is; \`npm start\` leaves a server running.
`;

const [argument] = process.argv.slice(2);
if (argument === undefined) {
  main().catch(end);
} else if (argument === "--help" || argument === "-h") {
  process.stdout.write(HELP);
} else {
  process.stderr.write(`The demo takes no arguments, not ${argument}. See npm run demo -- --help.\n`);
  process.exitCode = 2;
}

function end(error: unknown): void {
  const isExpected = error instanceof Unmet || error instanceof Interrupted;
  process.stderr.write(`\n${isExpected ? `✗ ${error.message}` : String((error as Error).stack)}\n`);
  process.exitCode = error instanceof Interrupted ? error.exitCode : 1;
}
