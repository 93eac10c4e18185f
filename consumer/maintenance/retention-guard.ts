import { type Kysely, sql } from "kysely";
import type { Logger } from "#lib/logger.ts";
import { dayMs } from "#postgres/partitions.ts";
import {
  askForRetention,
  type ExpiredDays,
  openRequest,
  type RetentionRequest,
} from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import { countExpired, type Expired } from "./retention-plan.ts";

/*
 * Removal is final, and a wrong clock makes records look old. So retention removes without asking only the usual: one
 * more day has expired since the last round, batches arrived recently, and the clock moved by about the time between two
 * rounds. In all other cases it removes nothing, stores a request, and waits until an operator confirms exactly that.
 */

/** With a round every hour, one day expires at a time. */
const daysExpectedMax = 1;

/** A weekend without batches, or without a consumer, needs no confirmation. */
const apartMsMax = 3 * dayMs;

/** Clocks synchronised by NTP differ far less. */
const aheadMsMax = 3_600_000;

/** True when the whole plan may be removed now; otherwise a request waits for confirmation. */
export async function isAllowed(
  db: Kysely<Database>,
  plan: readonly Expired[],
  now: Date,
  logger: Logger,
): Promise<boolean> {
  const request = await openRequest(db);
  const unconfirmed = request?.isConfirmed ? without(plan, request.plan) : plan;
  if (unconfirmed.every(({ days }) => days.length === 0)) return true;
  const reasons = [...tooManyDays(unconfirmed), ...(await unlikelyClock(db, now))];
  if (reasons.length === 0) return true;
  if (request && !request.isConfirmed && isSame(plan, request)) return false;
  const counted = [];
  for (const expired of plan) if (expired.days.length > 0) counted.push(await countExpired(db, expired));
  const id = await askForRetention(db, reasons, counted);
  logger.error(
    {
      request: id,
      reasons,
      plan: counted.map(({ table, days, rows }) => `${table}: ${days.length} d, ${rows} rows`),
    },
    "retention waits for confirmation (fleetlog retention)",
  );
  return false;
}

/** Call after a round that needed no confirmation: the next round compares its time, and so detects a clock that jumps. */
export async function rememberClock(db: Kysely<Database>, now: Date): Promise<void> {
  await sql`
    insert into retention_clock (checked_at) values (${now})
    on conflict (only_row) do update set checked_at = excluded.checked_at`.execute(db);
}

function tooManyDays(plan: readonly Expired[]): string[] {
  return plan
    .filter(({ days, isByDeviceClock }) => !isByDeviceClock && days.length > daysExpectedMax)
    .map(
      ({ table, days }) =>
        `${table}: ${days.length} days would be removed (${days[0]} to ${days.at(-1)}), expected at most ${daysExpectedMax} at once`,
    );
}

async function unlikelyClock(db: Kysely<Database>, now: Date): Promise<string[]> {
  const { rows } = await sql<{ newest: Date | null; checked: Date | null }>`
    select (select to_timestamp((max(id) >> 20) / 1000.0) from batches) as newest,
      (select checked_at from retention_clock) as checked`.execute(db);
  const times = [
    [rows[0]?.newest, "the newest batch arrived"],
    [rows[0]?.checked, "the last round was"],
  ] as const;
  return times.flatMap(([time, what]) => {
    const apartMs = time ? now.getTime() - time.getTime() : 0;
    if (apartMs <= apartMsMax && apartMs >= -aheadMsMax) return [];
    return [`${what} at ${time?.toISOString()}, while PostgreSQL's clock is ${now.toISOString()}`];
  });
}

function without(plan: readonly Expired[], confirmed: readonly ExpiredDays[]): readonly Expired[] {
  return plan.map((expired) => {
    const allowed = new Set(confirmed.find(({ table }) => table === expired.table)?.days);
    return { ...expired, days: expired.days.filter((day) => !allowed.has(day)) };
  });
}

function isSame(plan: readonly Expired[], request: RetentionRequest): boolean {
  return daysText(plan) === daysText(request.plan);
}

function daysText(plan: readonly ExpiredDays[]): string {
  return plan.flatMap(({ table, days }) => days.map((day) => `${table} ${day}`)).join();
}
