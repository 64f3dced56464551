import { expect, test } from "vitest";
import { publicTests } from "./earlier-tests.ts";

test("of the tests of the last release, those count that use nothing but what the package exports", () => {
  const files = new Map([
    ["/ts/test/types.test.ts", 'import { createClient } from "../src/index.ts";\nimport { expect } from "vitest";'],
    ["/ts/test/stream.test.ts", 'import { client } from "./fixture/client.ts";\nimport "../src/index.ts";'],
    ["/ts/test/retry.test.ts", 'import { delayOf } from "../src/retry.ts";'],
    ["/ts/test/batch.test.ts", 'import { serve } from "./fixture/server.ts";'],
    ["/ts/test/later.test.ts", 'const { readIt } = await import("../src/retry.ts");'],
    [
      "/ts/test/fixture/client.ts",
      'import { serve } from "./server.ts";\nimport { options } from "../../src/options.ts";',
    ],
    ["/ts/test/fixture/server.ts", 'import type { Call } from "../batch.test.ts";\nimport http from "node:http";'],
  ]);

  expect(publicTests(files, ["/ts/src/index.ts"])).toEqual(["/ts/test/types.test.ts", "/ts/test/batch.test.ts"]);
});
