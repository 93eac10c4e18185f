import type { Mutant } from "./mutant.ts";

/** In whose clock is believed, and how far. */
export const clockMutants: readonly Mutant[] = [
  {
    name: "boot-by-another-clock",
    title: "an implausible time of reception is replaced, and the time of boot by the same clock is not",
    edits: [
      {
        file: "consumer/consume/consumer.ts",
        search: "receivedAtMicros - (entry.receivedAtMicros - entry.bootedAtMicros)",
        replacement: "entry.bootedAtMicros",
      },
    ],
    caughtBy: { test: "consumer/consume/arrival-times.test.ts" },
  },
  {
    name: "retention-by-own-clock",
    title: "retention takes the time of its own process",
    edits: [
      {
        file: "consumer/maintenance/retention.ts",
        search: "readTime: (db: Kysely<Database>) => Promise<Date> = databaseTime,",
        replacement:
          "readTime: (db: Kysely<Database>) => Promise<Date> = async (db) => (await databaseTime(db)) && new Date(),",
      },
    ],
    caughtBy: { test: "consumer/maintenance/retention-guard.test.ts" },
  },
  {
    name: "retention-unasked",
    title: "retention removes any number of days at once",
    edits: [
      {
        file: "consumer/maintenance/retention-guard.ts",
        search: "const daysExpectedMax = 1;",
        replacement: "const daysExpectedMax = 1_000;",
      },
    ],
    caughtBy: { test: "consumer/maintenance/retention-guard.test.ts" },
  },
  {
    name: "retention-believes-postgres",
    title: "retention believes the clock of PostgreSQL whatever it says",
    edits: [
      {
        file: "consumer/maintenance/retention-guard.ts",
        search: "if (apartMs <= apartMsMax && apartMs >= -aheadMsMax) return [];",
        replacement:
          "if (apartMs <= Number.POSITIVE_INFINITY && aheadMsMax > 0 && apartMsMax > 0) return [];",
      },
    ],
    caughtBy: { test: "consumer/maintenance/retention-guard.test.ts" },
  },
  {
    name: "any-received-at",
    title: "batches of 1979 are stored in 1979",
    edits: [
      {
        file: "consumer/main.ts",
        search: "receivedAt: (micros) => arrivals.plausible(micros),",
        replacement: "receivedAt: (micros) => micros,",
      },
    ],
    caughtBy: { test: "consumer/consume/arrival-times.test.ts" },
  },
  {
    name: "any-server-clock",
    title: "a server with any clock takes batches",
    edits: [
      {
        file: "stream/clock-skew.ts",
        search: "if (Math.abs(aheadMs) - unsureMs <= msMax) return [];",
        replacement: "if (Math.abs(aheadMs) - unsureMs <= msMax + Number.MAX_SAFE_INTEGER) return [];",
      },
    ],
    caughtBy: { test: "server/health/clock-skew.test.ts" },
  },
];
