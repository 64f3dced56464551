import type { OpenApiDocument } from "./spec.ts";

/** A small document for tests: one enum that serves both directions, a list, a send and a stream. */
export function testDocument(): OpenApiDocument {
  const waiting = { id: "trg_1", status: "waiting" };
  return {
    openapi: "3.1.0",
    info: { title: "Test", version: "1" },
    paths: {
      "/triggers": {
        get: {
          operationId: "getTriggers",
          tags: ["triggers"],
          summary: "List triggers",
          security: [{ bearer: [] }],
          parameters: [
            { name: "status", in: "query", schema: { $ref: "#/components/schemas/Status" } },
            { $ref: "#/components/parameters/Cursor" },
          ],
          responses: {
            "200": {
              content: {
                "application/json": { schema: { $ref: "#/components/schemas/Page" }, example: { data: [waiting] } },
              },
            },
            "404": { $ref: "#/components/responses/NotFound" },
          },
        },
      },
      "/triggers/{key}/send": {
        post: {
          operationId: "postTriggersByKeySend",
          tags: ["triggers"],
          summary: "Send",
          security: [{ bearer: [] }, { internalSecret: [] }],
          parameters: [{ name: "key", in: "path", required: true, schema: { type: "string" }, example: "k" }],
          requestBody: {
            required: true,
            content: {
              "application/json": { schema: { $ref: "#/components/schemas/Send" }, example: { if_no_waiter: "fail" } },
            },
          },
          responses: {
            "200": {
              content: { "application/json": { schema: { $ref: "#/components/schemas/Trigger" }, example: waiting } },
            },
            "202": {
              content: {
                "application/json": {
                  schema: { type: "object", required: ["id"], properties: { id: { type: "string" } } },
                  example: { id: "evt_1" },
                },
              },
            },
            "404": { $ref: "#/components/responses/NotFound" },
          },
        },
      },
      "/triggers/{key}/stream": {
        get: {
          operationId: "getTriggersByKeyStream",
          tags: ["triggers"],
          summary: "Follow",
          security: [],
          parameters: [{ name: "key", in: "path", required: true, schema: { type: "string" }, example: "k" }],
          responses: { "200": { content: { "text/event-stream": { schema: { type: "string" } } } }, "204": {} },
        },
      },
    },
    components: {
      parameters: { Cursor: { name: "cursor", in: "query", schema: { type: "string" } } },
      responses: {
        NotFound: {
          content: {
            "application/json": {
              schema: { $ref: "#/components/schemas/Failure" },
              example: { error: { code: "not_found" } },
            },
          },
        },
      },
      schemas: {
        ErrorCode: {
          type: "string",
          enum: ["not_found", "conflict"],
          "x-strait-status": { not_found: 404, conflict: 409 },
        },
        Failure: {
          type: "object",
          required: ["error"],
          properties: {
            error: {
              type: "object",
              required: ["code"],
              properties: { code: { $ref: "#/components/schemas/ErrorCode" } },
            },
          },
        },
        Page: {
          type: "object",
          required: ["data"],
          properties: { data: { type: "array", items: { $ref: "#/components/schemas/Trigger" } } },
        },
        Send: {
          type: "object",
          additionalProperties: false,
          properties: {
            if_no_waiter: { type: "string", enum: ["buffer", "fail"], default: "buffer", description: "What then?" },
            description: { type: "string", description: "A property that is named like a keyword." },
          },
        },
        Status: { type: "string", enum: ["waiting", "received"], description: "Where it stands." },
        Trigger: {
          type: "object",
          description: "A wait.",
          required: ["id", "status"],
          properties: { id: { type: "string" }, status: { $ref: "#/components/schemas/Status" } },
        },
      },
    },
  };
}
