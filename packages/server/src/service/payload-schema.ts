import { type PayloadSchemas, payloadSchemas } from "../wire/payload-schema.ts";
import { boundedFor } from "./bounded.ts";

/** Schemas whose evaluation costs the project its own time. */
export const schemasOf = (projectId: string): PayloadSchemas => payloadSchemas(boundedFor(projectId));
