import { mutantsOfClocks } from "./clocks.ts";
import type { Mutant } from "./mutant.ts";
import { mutantsOfStoring } from "./storing.ts";
import { mutantsOfTakingIn } from "./taking-in.ts";

export const mutants: readonly Mutant[] = [...mutantsOfTakingIn, ...mutantsOfStoring, ...mutantsOfClocks];
