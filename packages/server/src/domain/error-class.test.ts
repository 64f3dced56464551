import { errorClasses } from "@strait/contract";
import { expect, test } from "vitest";
import { classOfNetworkError, classOfStatus, isRetryable, usesFallback } from "./error-class.ts";

test("a refusal is final, everything else is tried again", () => {
  expect(errorClasses.filter((errorClass) => !isRetryable(errorClass)).sort()).toEqual(["auth", "budget", "client"]);
});

test("the fallback endpoint is called when the first one was not there to answer", () => {
  expect(errorClasses.filter(usesFallback).sort()).toEqual(["connection", "rate_limited", "timeout", "transient"]);
});

test.each([
  [302, "unknown"],
  [400, "client"],
  [401, "auth"],
  [403, "auth"],
  [404, "client"],
  [429, "rate_limited"],
  [499, "client"],
  [500, "server"],
  [503, "server"],
])("an answer of %d is of the class %s", (status, errorClass) => {
  expect(classOfStatus(status)).toBe(errorClass);
});

test.each([
  ["ECONNREFUSED", "connection"],
  ["ENOTFOUND", "connection"],
  ["UND_ERR_CONNECT_TIMEOUT", "connection"],
  ["UND_ERR_HEADERS_TIMEOUT", "timeout"],
  ["HPE_INVALID_HEADER_TOKEN", "transient"],
  [undefined, "transient"],
])("no answer because of %s is of the class %s", (code, errorClass) => {
  expect(classOfNetworkError(code)).toBe(errorClass);
});
