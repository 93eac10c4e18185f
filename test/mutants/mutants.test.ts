import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import { projectFolder } from "#dev/folders.ts";
import { allRows } from "../faults/rows/all.ts";
import { mutatedFiles } from "./apply.ts";
import { mutants } from "./mutants.ts";

// Whether each is caught is what `npm run mutants` and `npm run faults:mutants` show, which take minutes.
describe("the mutants", () => {
  for (const mutant of mutants) {
    test(`${mutant.name} still fits the source, is a program, and what is to catch it is there`, () => {
      const mutated = mutatedFiles(projectFolder, mutant);
      assert(mutated.size > 0);
      for (const [file, text] of mutated) if (file.endsWith(".ts")) stripTypeScriptTypes(text); // throws
      const { caughtBy } = mutant;
      if ("test" in caughtBy) assert(existsSync(join(projectFolder, caughtBy.test)));
      else assert(allRows.some(({ name }) => name === caughtBy.row));
    });
  }

  test("have unique names", () => {
    assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  });
});
