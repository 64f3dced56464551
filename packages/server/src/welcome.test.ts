import { expect, test } from "vitest";
import { welcome } from "./welcome.ts";

test.each([
  ["/srv/strait/postgres", "The data stays in /srv/strait/postgres for the next start."],
  [undefined, "The data stays in the database of DATABASE_URL for the next start."],
])("says where the data is: %s", (folder, sentence) => {
  expect(welcome("http://127.0.0.1:8080", "strait_key", folder)).toContain(sentence);
});
