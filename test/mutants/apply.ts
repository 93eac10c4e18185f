import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Mutant } from "./mutant.ts";

/** The mutated text of every file that the mutant changes; throws when an edit does not fit exactly one place. */
export function mutatedFiles(project: string, { name, edits }: Mutant): ReadonlyMap<string, string> {
  const texts = new Map<string, string>();
  for (const { file, search, replacement } of edits) {
    const text = texts.get(file) ?? readFileSync(join(project, file), "utf8");
    const places = text.split(search).length - 1;
    if (places !== 1) {
      throw new Error(
        `mutant ${name}: ${JSON.stringify(search)} is ${places} times in ${file}, expected once`,
      );
    }
    texts.set(
      file,
      text.replace(search, () => replacement),
    );
  }
  return texts;
}

/** Changes the project; disposing brings back what was there. */
export function applyMutant(project: string, mutant: Mutant): Disposable {
  const mutated = mutatedFiles(project, mutant);
  const originals = [...mutated.keys()].map(
    (file) => [file, readFileSync(join(project, file), "utf8")] as const,
  );
  for (const [file, text] of mutated) writeFileSync(join(project, file), text);
  return {
    [Symbol.dispose]() {
      for (const [file, text] of originals) writeFileSync(join(project, file), text);
    },
  };
}
