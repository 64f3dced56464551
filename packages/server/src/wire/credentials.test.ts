import { describe, expect, test } from "vitest";
import { credentialOf, projectNamed, requireScope } from "./credentials.ts";

const nothing = { authorization: undefined, internalSecret: undefined, queryToken: undefined };
const bearer = (token: string) => ({ ...nothing, authorization: `Bearer ${token}` });
const secret = { ...nothing, internalSecret: "s" };

describe("the credential of a request", () => {
  test.each([
    [[], bearer("key"), { kind: "none" }],
    [["bearer"], bearer("key"), { kind: "apiKey", token: "key" }],
    [["bearer"], bearer("a.b.c"), { kind: "apiKey", token: "a.b.c" }],
    [["bearer"], { ...nothing, queryToken: "key" }, { kind: "apiKey", token: "key" }],
    [["bearer"], { ...nothing, queryToken: "a.b.c" }, { kind: "streamToken", token: "a.b.c" }],
    [["runToken"], bearer("a.b.c"), { kind: "runToken", token: "a.b.c" }],
    [["internalSecret"], secret, { kind: "internalSecret", secret: "s", needsProject: false }],
    [
      ["bearer", "internalSecret"],
      { ...bearer("key"), internalSecret: "s" },
      { kind: "internalSecret", secret: "s", needsProject: true },
    ],
  ])("of those that %j takes is the one that counts", (accepted, given, credential) => {
    expect(credentialOf(accepted, given)).toEqual(credential);
  });

  test.each([
    [["bearer"], nothing],
    [["bearer"], secret],
    [["bearer"], { ...nothing, authorization: "Basic key", queryToken: "key" }],
    [["internalSecret"], bearer("key")],
  ])("is asked for where %j takes none of what there is", (accepted, given) => {
    expect(() => credentialOf(accepted, given)).toThrow("the credentials are missing or of another kind; send ");
  });

  test("is asked for in the form in which it is sent", () => {
    expect(() => credentialOf(["bearer", "internalSecret"], nothing)).toThrow(
      "send an API key as `Authorization: Bearer`, or INTERNAL_SECRET in X-Internal-Secret",
    );
  });
});

test.each([undefined, ""])("the internal secret needs a project, which %j does not name", (projectId) => {
  expect(() => projectNamed(projectId)).toThrow("name its id in X-Project-Id");
});

test("a key needs the scope of the operation, if that has one", () => {
  requireScope(["jobs:read"], null);
  requireScope(["jobs:read"], "jobs:read");
  requireScope(["*"], "jobs:write");
  expect(() => requireScope(["jobs:read"], "jobs:write")).toThrow('the API key lacks the scope "jobs:write"');
});
