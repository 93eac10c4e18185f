import { cDevice, whyNoC } from "#test/support/c-client.ts";
import type { ProgramCommand } from "#test/support/device-program.ts";
import { whyNoGo } from "#test/support/go-client.ts";
import { goDevice } from "#test/support/go-package.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { pythonDevice } from "#test/support/python-package.ts";

/** A language whose client library can be the fleet. */
export interface Language {
  /** Why its devices cannot be built here, and what to do about it; undefined when they can. */
  readonly whyNot: () => Promise<string | undefined>;
  /** Builds the device program. */
  readonly device: () => Promise<ProgramCommand>;
}

export const languages: Readonly<Record<string, Language>> = {
  c: { whyNot: whyNoC, device: cDevice },
  go: { whyNot: whyNoGo, device: goDevice },
  python: { whyNot: whyNoPython, device: pythonDevice },
};
