import { ConfigError, integer } from "#lib/config.ts";

/** For how many days each thing is kept; 0: forever. */
export interface RetentionDays {
  readonly records: number;
  /** Also what is remembered of sessions, and what devices declared as dropped. */
  readonly ledger: number;
  readonly statistics: number;
  readonly deadLetters: number;
  readonly incidents: number;
}

const days = () => integer(0, 36_500);

export const retentionShape = {
  RETENTION_DAYS: days().prefault("0"),
  LEDGER_RETENTION_DAYS: days().optional(),
  STATISTICS_RETENTION_DAYS: days().optional(),
  DEAD_LETTER_RETENTION_DAYS: days().optional(),
  INCIDENT_RETENTION_DAYS: days().optional(),
};

interface RetentionSettings {
  readonly RETENTION_DAYS: number;
  readonly LEDGER_RETENTION_DAYS?: number | undefined;
  readonly STATISTICS_RETENTION_DAYS?: number | undefined;
  readonly DEAD_LETTER_RETENTION_DAYS?: number | undefined;
  readonly INCIDENT_RETENTION_DAYS?: number | undefined;
}

/**
 * What is not set follows the records: the ledger is kept a month longer, because a retry is recognised for as long;
 * dead letters at least 90 days, counts and incidents at least 400. Throws a ConfigError when records would outlive
 * what they are found and counted by.
 */
export function readRetentionDays(wish: RetentionSettings): RetentionDays {
  const records = wish.RETENTION_DAYS;
  const following = (days: number) => (records === 0 ? 0 : Math.max(records, days));
  const outlived = (["LEDGER_RETENTION_DAYS", "STATISTICS_RETENTION_DAYS"] as const).filter((name) => {
    const days = wish[name] ?? 0;
    return days !== 0 && (records === 0 || days < records);
  });
  if (outlived.length > 0) {
    throw new ConfigError(
      outlived.map(
        (name) =>
          `${name}=${wish[name]}: expected 0 or at least RETENTION_DAYS (${records === 0 ? "0, forever" : records}), ` +
          "or records would outlive their ledger or statistics",
      ),
    );
  }
  return {
    records,
    ledger: wish.LEDGER_RETENTION_DAYS ?? following(records + 30),
    statistics: wish.STATISTICS_RETENTION_DAYS ?? following(400),
    deadLetters: wish.DEAD_LETTER_RETENTION_DAYS ?? following(90),
    incidents: wish.INCIDENT_RETENTION_DAYS ?? following(400),
  };
}
