// The one `export *` of the repository. Which names the contract has is decided by openapi/, so a list written by hand
// here would have to be edited after each new schema; `generated/index.ts` is that list, and it names every export.
export * from "./generated/index.ts";
