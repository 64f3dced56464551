import { describe, expect, test } from "vitest";
import { operationId, operationIdProblems } from "./operation-id.ts";

describe("the id of an operation", () => {
  test.each([
    ["POST", "/sdk/v1/runs/{runID}/wait-for-event", "postSdkV1RunsByRunIDWaitForEvent"],
    ["POST", "/v1/events/{eventKey}/send", "postV1EventsByEventKeySend"],
    ["GET", "/v1/events/{eventKey}", "getV1EventsByEventKey"],
    ["DELETE", "/v1/events/{eventKey}", "deleteV1EventsByEventKey"],
    ["GET", "/v1/events/{eventKey}/stream", "getV1EventsByEventKeyStream"],
    ["POST", "/v1/events/prefix/{prefix}/send", "postV1EventsPrefixByPrefixSend"],
    ["POST", "/v1/events/purge", "postV1EventsPurge"],
    ["GET", "/v1/events/stats", "getV1EventsStats"],
    [
      "GET",
      "/v1/workflows/{workflowID}/versions/{fromVersionID}/diff/{toVersionID}",
      "getV1WorkflowsByWorkflowIDVersionsByFromVersionIDDiffByToVersionID",
    ],
    ["POST", "/v1/runs/bulk-dlq-replay", "postV1RunsBulkDlqReplay"],
    ["GET", "/health/ready", "getHealthReady"],
  ])("%s %s is %s", (method, path, id) => {
    expect(operationId(method, path)).toBe(id);
  });
});

describe("the ids of a document", () => {
  const stats = { method: "GET", path: "/v1/events/stats", operationId: "getV1EventsStats" };

  test("are fine when they are the derived ones", () => {
    expect(operationIdProblems([stats])).toEqual([]);
  });

  test("have to be there", () => {
    expect(operationIdProblems([{ ...stats, operationId: undefined }])).toEqual([
      "GET /v1/events/stats: operationId has to be getV1EventsStats, and is missing",
    ]);
  });

  test("are not invented", () => {
    expect(operationIdProblems([{ ...stats, operationId: "get-stats" }])).toEqual([
      "GET /v1/events/stats: operationId has to be getV1EventsStats, not get-stats",
    ]);
  });

  test("do not collide", () => {
    const dashed = { method: "GET", path: "/v1/events-stats", operationId: "getV1EventsStats" };

    expect(operationIdProblems([stats, dashed])).toEqual([
      "GET /v1/events-stats: its id getV1EventsStats is also that of GET /v1/events/stats; one of the paths has to change",
    ]);
  });
});
