import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Fixture } from "./fixture.ts";
import { languages } from "./languages.ts";
import { allRows } from "./rows/all.ts";
import { isClean, runOnce } from "./run.ts";

// A few rows of `npm run faults -- --fleet LANGUAGE` for each language, once and quickly.

const rows = new Set(["kill-server", "kill-redis"]);
/** The first build of a client takes minutes. */
const timeout = 900_000;

const reasons = new Map<string, string | undefined>();
for (const [name, { whyNot }] of Object.entries(languages)) reasons.set(name, await whyNot());

let fixture: Fixture;
before(async () => {
  if ([...reasons.values()].includes(undefined)) fixture = await Fixture.start();
});
after(() => fixture?.[Symbol.asyncDispose]());

for (const [language, { device }] of Object.entries(languages)) {
  describe(`with devices in ${language}, half of which are killed and resume from their spool, nothing is lost or doubled:`, {
    skip: reasons.get(language) ?? false,
  }, () => {
    for (const fault of allRows.filter(({ name }) => rows.has(name))) {
      test(fault.title, { timeout }, async () => {
        const program = await device();
        const result = await runOnce(fixture, fault, { run: 0, seed: 20_260_101, pace: "quick", program });
        assert(isClean(result), JSON.stringify(result));
      });
    }
  });
}
