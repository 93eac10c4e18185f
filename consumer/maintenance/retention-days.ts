import { ConfigError, integer } from "#lib/config.ts";

/** How many days each kind of row is kept; 0: forever. */
export interface RetentionDays {
  readonly records: number;
  /** Also for sessions and for declared drops. */
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
 * Unset values follow the records: the ledger is kept a month longer, because it recognises retries; dead letters at
 * least 90 days, statistics and incidents at least 400. Throws a ConfigError when records would outlive their ledger or
 * statistics.
 */
export function readRetentionDays(settings: RetentionSettings): RetentionDays {
  const records = settings.RETENTION_DAYS;
  const following = (days: number) => (records === 0 ? 0 : Math.max(records, days));
  const outlived = (["LEDGER_RETENTION_DAYS", "STATISTICS_RETENTION_DAYS"] as const).filter((name) => {
    const days = settings[name] ?? 0;
    return days !== 0 && (records === 0 || days < records);
  });
  if (outlived.length > 0) {
    throw new ConfigError(
      outlived.map(
        (name) =>
          `${name}=${settings[name]}: expected 0 or at least RETENTION_DAYS (${records === 0 ? "0, forever" : records}), ` +
          "or records would outlive their ledger or statistics",
      ),
    );
  }
  return {
    records,
    ledger: settings.LEDGER_RETENTION_DAYS ?? following(records + 30),
    statistics: settings.STATISTICS_RETENTION_DAYS ?? following(400),
    deadLetters: settings.DEAD_LETTER_RETENTION_DAYS ?? following(90),
    incidents: settings.INCIDENT_RETENTION_DAYS ?? following(400),
  };
}
