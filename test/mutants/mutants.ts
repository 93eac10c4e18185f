import { boundMutants } from "./bounds.ts";
import { clockMutants } from "./clocks.ts";
import { contentMutants } from "./contents.ts";
import { flushMutants } from "./flushes.ts";
import { ingestMutants } from "./ingest.ts";
import type { Mutant } from "./mutant.ts";
import { otlpMutants } from "./otlp.ts";
import { progressMutants } from "./progress.ts";
import { storingMutants } from "./storing.ts";

export const mutants: readonly Mutant[] = [
  ...ingestMutants,
  ...storingMutants,
  ...clockMutants,
  ...flushMutants,
  ...progressMutants,
  ...boundMutants,
  ...otlpMutants,
  ...contentMutants,
];
