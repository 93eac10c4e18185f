import { mutantsOfBounds } from "./bounds.ts";
import { mutantsOfClocks } from "./clocks.ts";
import { mutantsOfFlushes } from "./flushes.ts";
import type { Mutant } from "./mutant.ts";
import { mutantsOfStoring } from "./storing.ts";
import { mutantsOfTakingIn } from "./taking-in.ts";
import { mutantsOfWatching } from "./watching.ts";

export const mutants: readonly Mutant[] = [
  ...mutantsOfTakingIn,
  ...mutantsOfStoring,
  ...mutantsOfClocks,
  ...mutantsOfFlushes,
  ...mutantsOfWatching,
  ...mutantsOfBounds,
];
