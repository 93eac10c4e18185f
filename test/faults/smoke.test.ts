import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Fixture } from "./fixture.ts";
import { allRows, smokeRows } from "./rows/all.ts";
import { isClean, type RunResult, runOnce } from "./run.ts";

// The rows of `npm run faults -- --smoke`, once each and quickly. The seed is fixed; which entry a fault meets is not.

let fixture: Fixture;
before(async () => {
  fixture = await Fixture.start();
});
after(() => fixture?.[Symbol.asyncDispose]());

describe("nothing acknowledged is lost, nothing is stored twice:", () => {
  for (const fault of allRows.filter(({ name }) => smokeRows.includes(name))) {
    test(fault.title, async () => {
      const result = await runUntilEffective(fault.name);
      assert.notEqual(result.evidence, "", "the fault had no effect, three times");
      assert(isClean(result), JSON.stringify(result));
    });
  }
});

async function runUntilEffective(name: string): Promise<RunResult> {
  const fault = allRows.find((row) => row.name === name)!;
  for (let run = 0; ; run += 1) {
    const result = await runOnce(fixture, fault, { run: 0, seed: 20_260_101 + run, pace: "quick" });
    if (result.evidence !== "" || !isClean(result) || run === 2) return result;
  }
}
