import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { projectFolder } from "#local/folders.ts";
import { allRows } from "../faults/rows/all.ts";
import { mutatedFiles } from "./apply.ts";
import { mutants } from "./mutants.ts";

// Whether each is caught is what `npm run faults:mutants` shows, which takes minutes.
describe("the mutants of npm run faults:mutants", () => {
  for (const mutant of mutants) {
    test(`${mutant.name} still fits the source, and what is to catch it is there`, () => {
      assert(mutatedFiles(projectFolder, mutant).size > 0);
      const { caughtBy } = mutant;
      if ("test" in caughtBy) assert(existsSync(join(projectFolder, caughtBy.test)));
      else assert(allRows.some(({ name }) => name === caughtBy.row));
    });
  }
});
