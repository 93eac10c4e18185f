import type { Random } from "#batch/testing/random.ts";
import type { ProgramCommand } from "#test/support/device-program.ts";
import type { Counters } from "./counters.ts";
import type { Fixture } from "./fixture.ts";
import type { Fleet } from "./fleet.ts";
import type { Journal, JournalBatch } from "./journal.ts";
import type { SecretRecords } from "./secret-record.ts";

/** The context of a fault in one run. The fleet is sending, and every device has been acknowledged. */
export interface Scene {
  readonly fixture: Fixture;
  readonly fleet: Fleet;
  readonly random: Random;
  readonly journal: Journal;
  readonly secrets: SecretRecords;
  /** Of the fleet's devices, for a fault that has another fleet; undefined: ours. */
  readonly program: ProgramCommand | undefined;
  /** Begins every device_id of this run. */
  readonly prefix: string;
  /** Which run of its row this is, from 0: for faults that go through a list of cases. */
  readonly run: number;
  /** How long something lasts, in milliseconds, by the pace of the whole: seconds when quick, normal and full. */
  readonly lasting: (quick: number, normal: number, full?: number) => number;
  /** The counters before the fault. */
  readonly before: Counters;
  /** An additional check that must hold in the end: `check` returns "" or the error. */
  readonly expect: (check: (after: Counters) => Promise<string> | string) => void;
  /** Batches whose loss the fault makes unavoidable; {@link expect} then checks that it was reported. */
  readonly excuse: (batch: (batch: JournalBatch) => boolean) => void;
}

/** Evidence that the fault had an effect; "" when there is none, and the run is void. */
export type Evidence = (after: Counters) => string | Promise<string>;

export interface Preparation extends AsyncDisposable {
  readonly redisSettings?: Readonly<Record<string, string>>;
  readonly serverEnv?: Readonly<Record<string, string>>;
}

/** The duration of a run: "quick" for `npm test`, "full" for the long faults. */
export type Pace = "quick" | "normal" | "full";

/** One row of the page. */
export interface Fault {
  /** For the command line: kebab-case. */
  readonly name: string;
  /** For the page. */
  readonly title: string;
  /** How often it runs in the full run. */
  readonly runsFull: number;
  /** Prepared before Redis starts; the row then gets its own fixture. */
  readonly prepare?: () => Promise<Preparation>;
  /** A sentence when this machine cannot have the fault; "" when it can. */
  readonly impossible?: () => string;
  /** The devices' clock, in microseconds since 1970; the right time by default. */
  readonly clock?: (random: Random) => bigint;
  /** Makes the fault happen, waits as long as it lasts, and heals it: everything runs again when it resolves. */
  readonly inject: (scene: Scene) => Promise<Evidence>;
}

/** A count as evidence; "" for none. */
export function words(count: number, what: string): string {
  return count > 0 ? `${count} ${what}` : "";
}
