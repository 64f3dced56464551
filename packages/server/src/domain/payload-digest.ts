import { hash } from "node:crypto";
import { canonicalJson } from "@strait/core";

/** SHA-256 of the canonical payload, hex: payloads that are equal as JSON have the same. */
export const payloadDigest = (payload: unknown): string => hash("sha256", canonicalJson(payload));
