import { type Kysely, sql } from "kysely";
import type { RecordStatistics } from "#batch/record-statistics.ts";
import { plainColumn } from "#postgres/array-literal.ts";
import type { Database } from "#postgres/tables.ts";
import { clockOffsetMicros, type NewBatch } from "./batches.ts";

/*
 * Counts that change in the same transaction as the records. All flushes of all consumers change the same rows, so rows
 * are locked in key order, tables in the same order everywhere, and as late as possible: a second flush waits from here
 * until the COMMIT of the first.
 */

/** Totals of one device, overall or in one hour. */
interface Sum {
  readonly deviceKey: number;
  readonly hour: number;
  batches: number;
  records: number;
  errors: number;
  deadLetters: number;
  bytes: number;
  firstMicros: number;
  lastMicros: number;
  /** Of the batch received last. */
  clockOffsetMicros: number;
}

const hourMicros = 3_600_000_000;

/** Adds the batches to devices and device_statistics. Locks the devices' rows. */
export async function countDevices(db: Kysely<Database>, batches: readonly NewBatch[]): Promise<void> {
  await updateDevices(
    db,
    sumBy(batches, () => 0),
  );
  await upsertDeviceStatistics(
    db,
    sumBy(batches, ({ entry }) => Math.floor(entry.receivedAtMicros / hourMicros)),
  );
}

/** Adds the counts that were collected while encoding the rows to log_statistics. */
export async function countRecords(db: Kysely<Database>, statistics: RecordStatistics): Promise<void> {
  const counts = [...statistics];
  if (counts.length === 0) return;
  const column = plainColumn(counts);
  await sql`
    insert into log_statistics (minute, severity, record_count)
    select timestamptz 'epoch' + minute * interval '1 minute', severity, record_count
    from unnest(
      ${column(({ minute }) => minute)}::int[],
      ${column(({ severity }) => severity)}::smallint[],
      ${column(({ count }) => count)}::bigint[]
    ) as counted (minute, severity, record_count)
    order by 1, 2
    on conflict (minute, severity)
    do update set record_count = log_statistics.record_count + excluded.record_count`.execute(db);
}

async function updateDevices(db: Kysely<Database>, sums: readonly Sum[]): Promise<void> {
  const column = plainColumn(sums);
  const { numAffectedRows } = await sql`
    with sums as (
      select * from unnest(
        ${column(({ deviceKey }) => deviceKey)}::int[],
        ${column(({ firstMicros }) => firstMicros)}::bigint[],
        ${column(({ lastMicros }) => lastMicros)}::bigint[],
        ${column(({ batches }) => batches)}::bigint[],
        ${column(({ records }) => records)}::bigint[],
        ${column(({ errors }) => errors)}::bigint[],
        ${column(({ deadLetters }) => deadLetters)}::bigint[],
        ${column(({ clockOffsetMicros }) => clockOffsetMicros)}::bigint[]
      ) as sum (key, first_micros, last_micros, batch_count, record_count, error_count, dead_letter_count,
        clock_offset_micros)
    ), locked as materialized (
      select key from devices where key in (select key from sums) order by key for no key update
    )
    update devices set
      -- A device that has no batch yet was registered with the time of a batch that need not be the one stored.
      first_seen = case when devices.batch_count = 0 then time_from_micros(first_micros)
        else least(first_seen, time_from_micros(first_micros)) end,
      last_seen = case when devices.batch_count = 0 then time_from_micros(last_micros)
        else greatest(last_seen, time_from_micros(last_micros)) end,
      clock_offset_micros = case when devices.batch_count > 0 and time_from_micros(last_micros) < last_seen
        then devices.clock_offset_micros else sums.clock_offset_micros end,
      batch_count = devices.batch_count + sums.batch_count,
      record_count = devices.record_count + sums.record_count,
      error_count = devices.error_count + sums.error_count,
      dead_letter_count = devices.dead_letter_count + sums.dead_letter_count
    from locked join sums using (key)
    where devices.key = locked.key`.execute(db);
  if (numAffectedRows !== BigInt(sums.length)) {
    throw new Error(`devices: ${sums.length} to count, ${numAffectedRows} found`);
  }
}

async function upsertDeviceStatistics(db: Kysely<Database>, sums: readonly Sum[]): Promise<void> {
  const column = plainColumn(sums);
  await sql`
    insert into device_statistics as stored
      (hour, device_key, batch_count, record_count, error_count, dead_letter_count, bytes)
    select timestamptz 'epoch' + hour * interval '1 hour', device_key, batches, records, errors, dead_letters, bytes
    from unnest(
      ${column(({ hour }) => hour)}::int[],
      ${column(({ deviceKey }) => deviceKey)}::int[],
      ${column(({ batches }) => batches)}::bigint[],
      ${column(({ records }) => records)}::bigint[],
      ${column(({ errors }) => errors)}::bigint[],
      ${column(({ deadLetters }) => deadLetters)}::bigint[],
      ${column(({ bytes }) => bytes)}::bigint[]
    ) as sum (hour, device_key, batches, records, errors, dead_letters, bytes)
    order by device_key, hour
    on conflict (device_key, hour) do update set
      batch_count = stored.batch_count + excluded.batch_count,
      record_count = stored.record_count + excluded.record_count,
      error_count = stored.error_count + excluded.error_count,
      dead_letter_count = stored.dead_letter_count + excluded.dead_letter_count,
      bytes = stored.bytes + excluded.bytes`.execute(db);
}

function sumBy(batches: readonly NewBatch[], toHour: (batch: NewBatch) => number): readonly Sum[] {
  const sums = new Map<string, Sum>();
  for (const batch of batches) {
    const { deviceKey, entry, scanned } = batch;
    const hour = toHour(batch);
    const name = `${deviceKey} ${hour}`;
    let sum = sums.get(name);
    if (sum === undefined) {
      sum = emptySum(deviceKey, hour, entry.receivedAtMicros);
      sums.set(name, sum);
    }
    sum.batches += 1;
    sum.records += scanned.acceptedCount;
    sum.errors += scanned.errorCount;
    sum.deadLetters += scanned.rejections.length;
    sum.bytes += scanned.bytes.length;
    sum.firstMicros = Math.min(sum.firstMicros, entry.receivedAtMicros);
    if (entry.receivedAtMicros >= sum.lastMicros) {
      sum.lastMicros = entry.receivedAtMicros;
      sum.clockOffsetMicros = clockOffsetMicros(batch);
    }
  }
  return [...sums.values()];
}

function emptySum(deviceKey: number, hour: number, micros: number): Sum {
  const zeros = { batches: 0, records: 0, errors: 0, deadLetters: 0, bytes: 0 };
  return { deviceKey, hour, ...zeros, firstMicros: micros, lastMicros: micros, clockOffsetMicros: 0 };
}
