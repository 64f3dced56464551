import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import {
  apiChanges,
  findReleaseProblems,
  isContractRecorded,
  plannedLevel,
  recordContract,
  releaseProblems,
} from "./api-changes.ts";
import type { OpenApiDocument, Schema } from "./generate/spec.ts";
import { testDocument } from "./generate/test-document.ts";

/** The test document with some schemas replaced, or with paths taken away. */
function revised(schemas: Readonly<Record<string, Schema>>, isKept = (_path: string) => true): OpenApiDocument {
  const document = testDocument();
  return {
    ...document,
    paths: Object.fromEntries(Object.entries(document.paths).filter(([name]) => isKept(name))),
    components: { ...document.components, schemas: { ...document.components.schemas, ...schemas } },
  };
}

/** The highest level that a change from the test document to `revision` has, and the problems it makes at each planned one. */
async function judged(revision: OpenApiDocument): Promise<{ levels: string[]; refused: string[] }> {
  const folder = mkdtempSync(path.join(tmpdir(), "strait-changes-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const [base, head] = [path.join(folder, "base.json"), path.join(folder, "head.json")];
  writeFileSync(base, JSON.stringify(testDocument()));
  writeFileSync(head, JSON.stringify(revision));
  const changes = await apiChanges(base, head);
  const plans = [undefined, "patch", "minor", "major"] as const;
  return {
    levels: [...new Set(changes.map(({ level }) => level))],
    refused: plans.filter((planned) => releaseProblems(changes, planned).length > 0).map(String),
  };
}

const { Send, Status, Trigger } = testDocument().components.schemas;

test("a contract that has not changed needs no changeset", async () => {
  expect(await judged(revised({}))).toEqual({ levels: [], refused: [] });
});

test("an operation that is gone needs a major changeset", async () => {
  const { refused } = await judged(revised({}, (name) => name !== "/triggers"));

  expect(refused).toEqual(["undefined", "patch", "minor"]);
});

test("a field that a request has to have from now on needs a major changeset", async () => {
  const { refused } = await judged(revised({ Send: { ...Send, required: ["description"] } }));

  expect(refused).toEqual(["undefined", "patch", "minor"]);
});

test("a field that answers lose needs a major changeset", async () => {
  const { refused } = await judged(revised({ Trigger: { ...Trigger, required: ["id"], properties: { id: {} } } }));

  expect(refused).toEqual(["undefined", "patch", "minor"]);
});

test("a field that answers gain needs a minor changeset", async () => {
  const properties = { ...Trigger?.properties, note: { type: "string" } };
  const { refused } = await judged(revised({ Trigger: { ...Trigger, properties } }));

  expect(refused).toEqual(["undefined", "patch"]);
});

test("a value that an enum gains needs a minor changeset, since clients take any other value", async () => {
  const { levels, refused } = await judged(revised({ Status: { ...Status, enum: ["waiting", "received", "late"] } }));

  expect(levels).toContain("minor");
  expect(refused).toEqual(["undefined", "patch"]);
});

test("a value that an enum loses needs a major changeset", async () => {
  const { refused } = await judged(revised({ Status: { ...Status, enum: ["waiting"] } }));

  expect(refused).toEqual(["undefined", "patch", "minor"]);
});

/** A workspace of the client and the mocks, which are versioned together, and the server, which is not; with these changesets. */
function workspaceWith(changesets: readonly string[]): string {
  const folder = mkdtempSync(path.join(tmpdir(), "strait-plan-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const isPublished = (name: string) => ["@strait/ts", "@strait/msw"].includes(name);
  const manifest = (name: string) => ({ name, version: "0.1.0", private: !isPublished(name) });
  const files: Record<string, unknown> = {
    "package.json": { ...manifest("workspace"), workspaces: ["ts", "msw", "server"] },
    "ts/package.json": manifest("@strait/ts"),
    "msw/package.json": manifest("@strait/msw"),
    "server/package.json": manifest("@strait/server"),
    ".changeset/config.json": { fixed: [["@strait/ts", "@strait/msw"]], privatePackages: false },
  };
  for (const name of ["ts", "msw", "server", ".changeset"]) mkdirSync(path.join(folder, name));
  for (const [name, content] of Object.entries(files)) writeFileSync(path.join(folder, name), JSON.stringify(content));
  for (const [index, text] of changesets.entries()) writeFileSync(path.join(folder, `.changeset/${index}.md`), text);
  return folder;
}

const changeset = (...lines: readonly string[]) => `---\n${lines.join("\n")}\n---\n\nWords about a major change.\n`;

test("the plan is the highest level that a changeset gives the client or the mocks", async () => {
  const [ts, msw] = [changeset('"@strait/ts": patch'), changeset('"@strait/msw": minor')];

  expect(await plannedLevel(workspaceWith([]))).toBeUndefined();
  expect(await plannedLevel(workspaceWith([ts]))).toBe("patch");
  expect(await plannedLevel(workspaceWith([ts, msw]))).toBe("minor");
  expect(await plannedLevel(workspaceWith([msw, changeset("'@strait/ts': major")]))).toBe("major");
});

test("changesets of which no release can be made are refused", async () => {
  const both = changeset('"@strait/ts": minor', '"@strait/server": minor');

  await expect(plannedLevel(workspaceWith([changeset('"@strait/other": major')]))).rejects.toThrow("@strait/other");
  await expect(plannedLevel(workspaceWith([both]))).rejects.toThrow("mixed changeset");
});

describe("the gate, once a release has recorded its contract", () => {
  /** A workspace that was released with the test document, has a minor changeset since, and this contract. */
  function releasedAndRevised(revision: OpenApiDocument): string {
    const folder = workspaceWith([changeset('"@strait/ts": minor')]);
    const contract = path.join(folder, "packages/contract/openapi.json");
    for (const parent of ["packages/contract", "openapi"]) mkdirSync(path.join(folder, parent), { recursive: true });
    writeFileSync(contract, JSON.stringify(testDocument()));
    recordContract(folder);
    writeFileSync(contract, JSON.stringify(revision));
    return folder;
  }

  test("refuses a path that is gone with a minor changeset, and names it", async () => {
    const folder = releasedAndRevised(revised({}, (name) => name !== "/triggers"));

    const problems = await findReleaseProblems(folder);

    expect(isContractRecorded(folder)).toBe(false);
    expect(problems[0]).toContain('need a changeset for "@strait/ts": major, and the highest is minor');
    expect(problems.slice(1).join("\n")).toContain("paths /triggers");
  });

  test("takes a value that an enum of answers gains with a minor changeset", async () => {
    const folder = releasedAndRevised(revised({ Status: { ...Status, enum: ["waiting", "received", "late"] } }));

    expect(await findReleaseProblems(folder)).toEqual([]);
  });

  test("has nothing to say before the first release, nor of a contract that is the recorded one", async () => {
    const folder = releasedAndRevised(testDocument());

    const problems = await findReleaseProblems(folder);
    const isRecorded = isContractRecorded(folder);
    rmSync(path.join(folder, "openapi/released.json"));

    expect([problems, isRecorded]).toEqual([[], true]);
    expect([await findReleaseProblems(folder), isContractRecorded(folder)]).toEqual([[], false]);
  });
});
