import { readFields } from "#postgres/binary-rows.ts";
import { firstBatchIdAt } from "#postgres/partitions.ts";
import { SearchTerms } from "#search/search-terms.ts";
import { summaryIdsMax } from "#search/summary-writer.ts";
import type { ReadDatabase } from "../query/read-database.ts";
import { scalarText } from "./attributes.ts";
import type { LogFilter } from "./log-filter.ts";
import type { IdRange, SkippedIds } from "./select-batches.ts";

/** The terms of every record that matches the filter. */
export function searchTermsFor({ texts, loggerPrefix, attributes, traceId }: LogFilter): SearchTerms {
  const terms = new SearchTerms();
  for (const text of texts) terms.addText(text);
  terms.addLoggerPrefix(loggerPrefix);
  for (const { name, value } of attributes) {
    if (value === undefined) terms.addAttributeName(name);
    else terms.addAttribute(name, [...new Set([value, toText(value)])]);
  }
  if (traceId !== undefined) terms.addTraceId(Buffer.from(traceId, "hex"));
  return terms;
}

/** The text of the number that the value means too. */
function toText(value: string): string {
  const scalar = scalarText(value);
  return scalar === undefined ? value : String(JSON.parse(scalar, keepText));
}

/** An integer beyond 2^53 is the text of its digits. */
function keepText(_name: string, value: unknown, { source }: { source?: string } = {}): unknown {
  return typeof value === "number" && !Number.isSafeInteger(value) ? source : value;
}

/**
 * Which batches search summaries rule out, of those that arrived about when the filter's records happened: a day from its first
 * summary to its last, but for the segments that may match. Of days without summaries, and beyond some thousand
 * summaries, it rules out nothing; nor when little would be.
 */
export async function findRuledOut(
  db: ReadDatabase,
  { startMicros, endMicros }: Pick<LogFilter, "startMicros" | "endMicros">,
  terms: SearchTerms,
  summariesMax = summariesMaxDefault,
): Promise<SkippedIds> {
  const firstId = startMicros === undefined ? 0n : idAt(startMicros, -slackMs);
  const endId = endMicros === undefined ? idMax : idAt(endMicros, slackMs);
  const days = new Map<bigint, IdRange>();
  const matching: IdRange[] = [];
  let [records, recordsMatching] = [0, 0];
  const summaries = await readSummaries(db, terms, { firstId, endId }, summariesMax);
  for (const { range, slices } of summaries.values()) {
    addToDay(days, range);
    const found = terms.matchingSegments(slices);
    if (found === undefined) matching.push(range);
    else for (const one of found.matching) matching.push({ firstId: one.firstId, endId: one.lastId + 1n });
    records += found?.records ?? 0;
    recordsMatching += found?.recordsMatching ?? 0;
  }
  if (recordsMatching * 2 > records) return { ids: [], but: [] };
  // One that begins before those that were read may reach this far into them, and they beyond the first of those after them.
  const unreadEnd = summaryIdsMax + (summaries.size < summariesMax ? firstId : minOf(summaries.keys()));
  const ids = [...days.values()].map((day) => within(day, unreadEnd, endId)).filter(isFilled);
  return { ids: unite(ids), but: unite(matching) };
}

interface StoredSummary {
  readonly range: IdRange;
  readonly slices: Map<number, Buffer>;
}

/** The newest summaries that begin in a range, by their first ids. One statement, or a merge in between would hide some. */
async function readSummaries(
  db: ReadDatabase,
  terms: SearchTerms,
  { firstId, endId }: IdRange,
  countMax: number,
): Promise<ReadonlyMap<bigint, StoredSummary>> {
  const summaries = new Map<bigint, StoredSummary>();
  const text = `select slice, first_id, last_id, bytes from search_summaries
      where slice = any ($1::int2[]) and first_id < $3::int8 and first_id >= coalesce((
        select first_id from search_summaries where slice = 0 and first_id >= $2::int8 and first_id < $3::int8
        order by first_id desc offset $4::int8 limit 1), $2::int8)`;
  const values = [`{${terms.slices.join()}}`, String(firstId), String(endId), String(countMax - 1)];
  await db.readRows(text, values, (row) => {
    const [slice, first, last, bytes] = readFields(row) as [Buffer, Buffer, Buffer, Buffer];
    const range = { firstId: first.readBigInt64BE(), endId: last.readBigInt64BE() + 1n };
    let summary = summaries.get(range.firstId);
    if (summary === undefined) summaries.set(range.firstId, (summary = { range, slices: new Map() }));
    summary.slices.set(slice.readInt16BE(), bytes);
  });
  return summaries;
}

function addToDay(days: Map<bigint, IdRange>, { firstId, endId }: IdRange): void {
  const day = firstId / idsPerDay;
  const known = days.get(day) ?? { firstId, endId };
  days.set(day, {
    firstId: firstId < known.firstId ? firstId : known.firstId,
    endId: endId > known.endId ? endId : known.endId,
  });
}

function within({ firstId, endId }: IdRange, least: bigint, end: bigint): IdRange {
  return { firstId: firstId < least ? least : firstId, endId: endId < end ? endId : end };
}

function isFilled({ firstId, endId }: IdRange): boolean {
  return firstId < endId;
}

/** The same ids in ascending and disjoint ranges. */
export function unite(ranges: readonly IdRange[]): readonly IdRange[] {
  const united: IdRange[] = [];
  for (const range of ranges.toSorted((a, b) =>
    a.firstId < b.firstId ? -1 : a.firstId > b.firstId ? 1 : 0,
  )) {
    const last = united.at(-1);
    if (last === undefined || range.firstId > last.endId) united.push(range);
    else if (range.endId > last.endId)
      united[united.length - 1] = { firstId: last.firstId, endId: range.endId };
  }
  return united;
}

function minOf(ids: Iterable<bigint>): bigint {
  let least = idMax;
  for (const id of ids) if (id < least) least = id;
  return least;
}

function idAt(micros: bigint, shiftMs: number): bigint {
  const ms = Number(micros / 1000n) + shiftMs;
  return firstBatchIdAt(Math.min(Math.max(ms, 0), msMax));
}

/** How long before and after its records a batch usually arrives; the others are walked. */
const slackMs = 86_400_000;
const msMax = 2 ** 43 - 1;
const idMax = 2n ** 63n - 1n;
const idsPerDay = firstBatchIdAt(86_400_000);
/** About 130 million records, or a day of small flushes; 40 MB at most, in about 60 ms. */
const summariesMaxDefault = 4_096;
