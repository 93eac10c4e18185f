/** A change of the product that breaks its promise, in a way that a careless hand might. */
export interface Mutant {
  readonly name: string;
  /** What the product does with it. */
  readonly title: string;
  /** Each `search` is in its file exactly once. */
  readonly edits: readonly Edit[];
  /** What has to notice: a row of the fault matrix, or a test file. */
  readonly caughtBy: { readonly row: string; readonly runs?: number } | { readonly test: string };
}

export interface Edit {
  readonly file: string;
  readonly search: string;
  readonly replacement: string;
}

/** Mutants of one edit each in `file`, which `test` has to catch. */
export function caughtBy(
  test: string,
  file: string,
  mutants: readonly (Pick<Mutant, "name" | "title"> & Omit<Edit, "file">)[],
): readonly Mutant[] {
  return mutants.map(({ name, title, search, replacement }) => ({
    name,
    title,
    edits: [{ file, search, replacement }],
    caughtBy: { test },
  }));
}
