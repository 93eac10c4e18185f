import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { allBlocks } from "./blocks/all.ts";
import { isClean, report } from "./report.ts";
import { runBlock } from "./run-block.ts";
import { Target } from "./target.ts";

// The first cases of each block of `npm run fuzz`.

let database: TestDatabase;
let target: Target;
before(async () => {
  database = await createDatabase();
  target = await Target.start(database.url);
});
after(async () => {
  await target?.[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
});

describe("any input fails as a client error, every process survives, and the next valid batch is stored:", () => {
  for (const block of allBlocks) {
    test(block.title, async () => {
      const result = await runBlock(
        target,
        block,
        1,
        Array.from({ length: block.countSmoke }, (_, index) => index),
      );
      assert.ok(isClean(result), report(result, 1));
      assert.ok(result.responses.size > 1, "every case had the same answer");
    });
  }
});
