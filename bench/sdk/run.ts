// `npm run bench:sdk`: our client beside openapi-fetch, hey-api, Redocly's and openai's core, in one run.
//
//   npm run bench:sdk                         all of it, about ten minutes
//   npm run bench:sdk -- sizes calls          only these: sizes calls types start streams
//   npm run bench:sdk -- --quick              fewer rounds
//   npm run bench:sdk -- --enforce            fails where a figure of ours is above its bar, times by more than 15 %

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { measureCalls } from "./src/calls.ts";
import { prepare, type Workshop } from "./src/prepare.ts";
import { type Bar, type Row, report } from "./src/report.ts";
import { measureSizes } from "./src/sizes.ts";
import { measureStart } from "./src/start.ts";
import { measureStreams } from "./src/streams.ts";
import { measureTypes } from "./src/types.ts";

interface Measure {
  readonly title: string;
  /** By name of a row, then of a column. */
  readonly bars: Readonly<Record<string, Readonly<Record<string, Bar>>>>;
  run(workshop: Workshop, rounds: number): readonly Row[] | Promise<readonly Row[]>;
}

const typeSizeBars: Readonly<Record<string, Bar>> = {
  MB: { most: 70 },
  instantiations: { most: 2_000 },
  errors: { most: 0 },
};

/** Seconds and milliseconds of the design's own measurement, beside those of the best of the others there. */
const typeBars: Readonly<Record<string, Bar>> = {
  ...typeSizeBars,
  "check s": { most: 0.15 / 0.65, of: "redocly", isTime: true },
  "by TypeScript 7": { most: 0.02 / 0.11, of: "redocly", isTime: true },
  "first list ms": { most: 200 / 322, of: "redocly", isTime: true },
  "errors after a key": { most: 60 / 132, of: "redocly", isTime: true },
};

const measures: Readonly<Record<string, Measure>> = {
  sizes: {
    title: "What a program downloads that calls one operation: bytes, minified and gzipped",
    bars: {
      "@strait/ts/ops, one operation": { bytes: { most: 4_500 } },
      "@strait/ts, all operations": { bytes: { most: 7_000 } },
      "@strait/ts, all operations and streams": { bytes: { most: 9_000 } },
    },
    run: async (workshop) => (await measureSizes(workshop)).map(({ name, gzip }) => ({ name, bytes: gzip })),
  },
  calls: {
    title:
      "A call: µs of CPU of the client alone over fetch, and its time over that of fetch, one by one and 64 at a time",
    bars: {
      "@strait/ts": {
        "client µs": { most: 20, isTime: true },
        "one by one": { most: 1.1, isTime: true },
        "64 at a time": { most: 1.27, isTime: true },
      },
    },
    run: async (workshop, rounds) =>
      (await measureCalls(workshop, rounds)).map(({ name, clientMicros, sequential, wide }) => ({
        name,
        "client µs": clientMicros,
        "one by one": sequential,
        "64 at a time": wide,
      })),
  },
  types: {
    title:
      "Compiling about 150 calls, opening them in an editor and typing there: of a contract with as many operations, and of ours (small)",
    bars: {
      "@strait/ts": typeBars,
      "@strait/ts, operations": typeBars,
      "@strait/ts, small": typeSizeBars,
      "@strait/ts, operations, small": typeSizeBars,
    },
    run: async (workshop, rounds) =>
      (await measureTypes(workshop, Math.min(rounds, 3))).map(({ name, costs }) => ({
        name,
        "check s": costs.map(({ checkSeconds }) => checkSeconds),
        "by TypeScript 7": costs.map(({ nextCheckSeconds }) => nextCheckSeconds),
        MB: costs.map(({ megabytes }) => megabytes),
        instantiations: costs.map(({ instantiations }) => instantiations),
        errors: costs.map(({ errors }) => errors),
        "first list ms": costs.map(({ opening, firstList }) => opening + firstList),
        "of which opening": costs.map(({ opening }) => opening),
        "of a body": costs.map(({ bodyList }) => bodyList),
        "errors after a key": costs.map(({ recheck }) => recheck),
      })),
  },
  start: {
    title: "Loading it into a new process",
    bars: { "@strait/ts": { ms: { most: 2 / 2.3, of: "openapi-fetch", isTime: true }, MB: { most: 0.3 } } },
    run: (workshop, rounds) =>
      measureStart(workshop, rounds * 2 + 1).map(({ name, millis, megabytes }) => ({
        name,
        ms: millis,
        MB: megabytes,
      })),
  },
  streams: {
    title: "Reading a stream: MB/s",
    bars: {
      "@strait/ts": {
        "64 KiB chunks": { least: 250, isTime: true },
        "an event of 2 MB": { least: 200, isTime: true },
      },
    },
    run: (workshop, rounds) => measureStreams(workshop, rounds),
  },
};

const { values: options, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { enforce: { type: "boolean" }, quick: { type: "boolean" } },
});
const unknown = wanted.filter((name) => !(name in measures));
if (unknown.length > 0) {
  console.error(`There is no measure ${unknown.join(", ")}; there are ${Object.keys(measures).join(", ")}`);
  process.exitCode = 2;
} else {
  const workshop = prepare();
  console.log(`Node.js ${process.version}; ${cpus().length} × ${cpus()[0]?.model ?? "unknown processor"}`);
  for (const [name, { title, bars, run }] of Object.entries(measures)) {
    if (wanted.length > 0 && !wanted.includes(name)) continue;
    const { text, isMet } = report(title, await run(workshop, options.quick ? 3 : 9), bars);
    console.log(`\n${text}`);
    if (options.enforce && !isMet) process.exitCode = 1;
  }
}
