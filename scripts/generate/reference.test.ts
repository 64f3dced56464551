import { expect, test } from "vitest";
import { referenceFiles } from "./reference.ts";
import { readSpec } from "./spec.ts";
import { testDocument } from "./test-document.ts";

/** The pages of the test document by their file names. */
function pages(): Record<string, string> {
  const document = { ...testDocument(), tags: [{ name: "triggers", description: "Waits." }] };
  const files = referenceFiles(readSpec(document));
  return Object.fromEntries(files.map(({ path, content }) => [path.split("/").at(-1) ?? "", content]));
}

test("the reference lists each operation and leads to it", () => {
  const { "README.md": index } = pages();

  expect(index).toContain("## triggers\n\nWaits.\n");
  expect(index).toContain("| [`POST /triggers/{key}/send`](triggers.md#postTriggersByKeySend) | Send |");
  expect(index).toContain("## Errors");
});

test("an operation shows what it takes, answers and needs", () => {
  const { "triggers.md": page } = pages();

  expect(page).toContain('<a id="postTriggersByKeySend"></a>\n\n## Send\n\n`POST /triggers/{key}/send`\n');
  expect(page).toContain("Needs an API key, or the internal secret.");
  expect(page).toContain("Needs no credential.");
  expect(page).toContain("| `key` | string, required |");
  expect(page).toContain('| `if_no_waiter` | string, default `"buffer"` | What then? |');
  expect(page).toContain("| 200 | `Trigger` |");
  expect(page).toContain("Refused with 404: see [errors](README.md#errors).");
});

test("its examples send what the contract's example sends", () => {
  const { "triggers.md": page } = pages();

  expect(page).toContain(
    'await client.operationsPromise.postTriggersByKeySend({ pathParams: { key: "k" }, body: { if_no_waiter: "fail" } });',
  );
  expect(page).toContain(`curl -X POST 'https://strait.dev/triggers/k/send' \\
  -H "Authorization: Bearer $STRAIT_API_KEY" \\
  -H 'Content-Type: application/json' \\
  -d '{"if_no_waiter":"fail"}'`);
  expect(page).toContain('client.stream.getTriggersByKeyStream({ pathParams: { key: "k" } })) console.log(data);');
});
