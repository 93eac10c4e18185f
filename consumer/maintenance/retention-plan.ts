import { type Kysely, type RawBuilder, type SqlBool, sql } from "kysely";
import { type DayPartition, listDayPartitions } from "#postgres/day-partitions.ts";
import { dayMs, firstBatchIdAt } from "#postgres/partitions.ts";
import type { CountedDays, ExpiredDays } from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import type { RetentionDays } from "./retention-days.ts";

/** The expired rows of one table. */
export interface Expired extends ExpiredDays {
  readonly table: TableName;
  /** Selects the rows; undefined when there are none. */
  readonly where: RawBuilder<SqlBool> | undefined;
  /** Day partitions to drop. Those without records are not among `days`, since nothing is lost with them. */
  readonly partitions: readonly DayPartition[];
  /** The days come from devices' clocks: there can be any number of them. */
  readonly isByDeviceClock: boolean;
}

type TableName = keyof Database | "record_batches_default";

interface Timed {
  readonly table: TableName;
  readonly kept: keyof RetentionDays;
  readonly column: string;
  readonly isByDeviceClock?: boolean;
}

/** Tables with a time column. Sessions have none: they are removed with the last of their batches. */
const timedTables: readonly Timed[] = [
  { table: "record_batches_default", kept: "records", column: "batch_id" },
  { table: "batches", kept: "ledger", column: "id" },
  { table: "drops", kept: "ledger", column: "batch_id" },
  { table: "log_statistics", kept: "statistics", column: "minute", isByDeviceClock: true },
  { table: "device_statistics", kept: "statistics", column: "hour" },
  { table: "dead_letters", kept: "deadLetters", column: "at" },
  { table: "incidents", kept: "incidents", column: "at" },
];

/** A round plans at most this many days per table, oldest first. */
const daysMax = 4_000;

/** The rows that are expired at `now`, by day; omits tables without any. */
export async function planExpiry(
  db: Kysely<Database>,
  kept: RetentionDays,
  now: Date,
): Promise<readonly Expired[]> {
  const today = Math.floor(now.getTime() / dayMs);
  const plan = [await expiredPartitions(db, kept.records === 0 ? 0 : (today - kept.records) * dayMs)];
  for (const timed of timedTables) {
    const days = kept[timed.kept];
    if (days !== 0) plan.push(await expiredRows(db, timed, (today - days) * dayMs));
  }
  return plan.filter(({ days, partitions }) => days.length > 0 || partitions.length > 0);
}

/** Counts the rows, of records the records, and the bytes. Reads all of them. */
export async function countExpired(
  db: Kysely<Database>,
  { table, days, where, partitions }: Expired,
): Promise<CountedDays> {
  const counted = { table, days, rows: 0, bytes: 0 };
  const add = (found: { rows: string; bytes: string } | undefined) => {
    counted.rows += Number(found?.rows);
    counted.bytes += Number(found?.bytes);
  };
  for (const { name } of partitions) {
    const { rows } = await sql<{ rows: string; bytes: string }>`
      select ${recordCount} as rows, pg_total_relation_size(${name}::regclass) as bytes from ${sql.table(name)}`.execute(
      db,
    );
    add(rows[0]);
  }
  if (where === undefined) return counted;
  const { rows } = await sql<{ rows: string; bytes: string }>`
    select ${table === "record_batches_default" ? recordCount : sql`count(*)`} as rows, coalesce(sum(pg_column_size(expired)), 0) as bytes
    from ${sql.table(table)} expired where ${where}`.execute(db);
  add(rows[0]);
  return counted;
}

const recordCount = sql`coalesce(sum(cardinality(severities)), 0)`;

async function expiredPartitions(db: Kysely<Database>, cutoffMs: number): Promise<Expired> {
  const partitions = (await listDayPartitions(db)).filter(({ endMs }) => endMs <= cutoffMs).slice(0, daysMax);
  const days: string[] = [];
  for (const { name, startMs } of partitions) {
    const { rows } = await sql<{ found: boolean }>`
      select exists (select from ${sql.table(name)}) as found`.execute(db);
    if (rows[0]?.found) days.push(dayName(startMs / dayMs));
  }
  return { table: "records", days, where: undefined, partitions, isByDeviceClock: false };
}

/** Skips from one day that has rows to the next, with one index lookup each. */
async function expiredRows(
  db: Kysely<Database>,
  { table, column, isByDeviceClock = false }: Timed,
  cutoffMs: number,
): Promise<Expired> {
  const isId = column === "id" || column === "batch_id";
  const time = sql.ref(column);
  const before = isId
    ? sql`${String(firstBatchIdAt(cutoffMs))}::int8`
    : sql`to_timestamp(${cutoffMs / 1000}::float8)`;
  const day = isId
    ? sql`(${time} >> 20) / ${sql.lit(dayMs)}`
    : sql`floor(extract(epoch from ${time}) / 86400)::int8`;
  const dayStart = (number: RawBuilder<unknown>) =>
    isId ? sql`(${number} * ${sql.lit(dayMs)}) << 20` : sql`to_timestamp((${number} * 86400)::float8)`;
  const first = (from: RawBuilder<unknown>) => sql`
    (select ${day} from ${sql.table(table)} where ${time} < ${before} ${from} order by ${time} limit 1)`;
  const { rows } = await sql<{ day: string }>`
    with recursive found (day) as (
      select ${first(sql``)}
      union all
      select ${first(sql`and ${time} >= ${dayStart(sql`(found.day + 1)`)}`)} from found where day is not null
    )
    select day from found where day is not null limit ${sql.lit(daysMax)}`.execute(db);
  const numbers = rows.map((row) => Number(row.day));
  const end = sql.lit((numbers.at(-1) ?? 0) + 1);
  return {
    table,
    days: numbers.map(dayName),
    where: numbers.length === 0 ? undefined : sql<SqlBool>`${time} < ${dayStart(sql`${end}::int8`)}`,
    partitions: [],
    isByDeviceClock,
  };
}

function dayName(number: number): string {
  return new Date(number * dayMs).toISOString().slice(0, 10);
}
