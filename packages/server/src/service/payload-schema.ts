import { payloadSchemas } from "../wire/payload-schema.ts";
import { bounded } from "./bounded.ts";

export const { schemaIssue, payloadIssues } = payloadSchemas(bounded);
