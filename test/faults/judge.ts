import { Client } from "pg";
import { findDisagreements } from "./agreement.ts";
import type { Journal, JournalBatch } from "./journal.ts";
import { readId, type SecretRecords } from "./secret-record.ts";

/** The judgement of one run; everything but `records`, `excused` and `rows` must be 0 and empty. */
export interface Judgement {
  /** Acknowledged. */
  readonly records: number;
  /** Acknowledged, and neither stored nor in dead_letters as announced. */
  readonly lost: number;
  /** Rows beyond one per record. */
  readonly doubled: number;
  /** Rows of records that no device sent. */
  readonly phantom: number;
  /** Rows that differ from what was sent. */
  readonly mutated: number;
  /** Missing, but the fault removed them openly: see {@link JudgeOptions.excuses}. */
  readonly excused: number;
  /** All rows there are now: `rowsBefore` of the next run. */
  readonly rows: number;
  /** Other errors: counts that disagree with the rows, contradictory outcomes. */
  readonly faults: readonly string[];
}

export interface JudgeOptions {
  readonly databaseUrl: string;
  /** All devices of the run begin with this, and no others do. */
  readonly devicePrefix: string;
  readonly journal: Journal;
  readonly secrets: SecretRecords;
  /** Rows that earlier runs left in `records`. */
  readonly rowsBefore: number;
  /** Whether the loss of this batch was to be expected, and will be checked to have been reported. */
  readonly excuses?: ((batch: JournalBatch) => boolean) | undefined;
}

interface StoredRow {
  readonly device_id: string;
  readonly session_id: string;
  readonly sequence: string;
  readonly idx: number;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  readonly attributes: Record<string, string>;
  readonly time_micros: string;
  readonly received_micros: string;
}

/** Compares the devices' journal with PostgreSQL. Call when nothing is in flight. */
export async function judge(options: JudgeOptions): Promise<Judgement> {
  const client = new Client({ connectionString: options.databaseUrl });
  client.on("error", () => {}); // reported by the query it interrupts
  await client.connect();
  try {
    const prefix = `${options.devicePrefix}%`;
    const { rows } = await client.query<StoredRow>(
      `select device_id, session_id, sequence, idx, severity, logger, message, attributes,
              (extract(epoch from time) * 1000000)::bigint::text as time_micros,
              (extract(epoch from received_at) * 1000000)::bigint::text as received_micros
         from logs where device_id like $1`,
      [prefix],
    );
    const deadLetters = await client.query<{ raw: Buffer; reason: string }>(
      "select raw, reason from dead_letters where device_id like $1 and idx is not null",
      [prefix],
    );
    const counted = await client.query<{ all: string }>('select count(*) as "all" from records');
    const disagreements = await findDisagreements(client, prefix);
    return compare(options, rows, deadLetters.rows, Number(counted.rows[0]?.all), disagreements);
  } finally {
    await client.end().catch(() => {}); // it was lost: so the query threw
  }
}

function compare(
  { journal, secrets, rowsBefore, excuses }: JudgeOptions,
  rows: readonly StoredRow[],
  deadLetters: readonly { raw: Buffer; reason: string }[],
  rowsInAll: number,
  disagreements: readonly string[],
): Judgement {
  const known = new Set(journal.batches.flatMap(({ records }) => records.map(({ id }) => id)));
  const stored = new Map<string, number>();
  let phantom = 0;
  let mutated = 0;
  for (const row of rows) {
    const id = readId(row.message);
    if (id === undefined || !known.has(id)) {
      phantom += 1;
      continue;
    }
    stored.set(id, (stored.get(id) ?? 0) + 1);
    if (!isWhole(secrets, row)) mutated += 1;
  }
  const deadLetterReasons = new Map<string, string[]>();
  for (const { raw, reason } of deadLetters) {
    const id = /[0-9a-f]{32}(?= )/.exec(raw.toString("latin1"))?.[0] ?? "";
    deadLetterReasons.set(id, [...(deadLetterReasons.get(id) ?? []), reason]);
  }

  const faults = [...journal.contradictions, ...disagreements];
  let [records, lost, excused] = [0, 0, 0];
  let doubled = [...stored.values()].reduce((sum, count) => sum + count - 1, 0);
  for (const batch of journal.batches) {
    for (const [index, { id }] of batch.records.entries()) {
      const announced = batch.rejections.get(index);
      const reasons = deadLetterReasons.get(id) ?? [];
      doubled += Math.max(0, reasons.length - 1);
      if (batch.outcome !== "acknowledged") continue;
      records += 1;
      const isKept = announced === undefined ? stored.has(id) : reasons.includes(announced);
      if (isKept) continue;
      if (excuses?.(batch)) excused += 1;
      else {
        if (lost < 5)
          faults.push(`lost: record ${index} of ${batch.deviceId} ${batch.sequence}, ${reasons.join()}`);
        lost += 1;
      }
    }
  }
  // Rows that belong to no device of this run, and to none before it.
  const stray = rowsInAll - rowsBefore - rows.length;
  if (stray > 0) phantom += stray;
  if (stray < 0) faults.push(`${-stray} rows of earlier runs have disappeared`);
  return { records, lost, doubled, phantom, mutated, excused, rows: rowsInAll, faults };
}

function isWhole(secrets: SecretRecords, row: StoredRow): boolean {
  const setting = {
    deviceId: row.device_id,
    sessionId: row.session_id,
    sequence: row.sequence,
    index: row.idx,
    severity: row.severity,
    logger: row.logger,
    attributes: row.attributes,
  };
  if (secrets.isWhole(row.message, { ...setting, timeMicros: row.time_micros })) return true;
  const isUntimed = row.time_micros === row.received_micros;
  return isUntimed && secrets.isWhole(row.message, { ...setting, timeMicros: "0" });
}
