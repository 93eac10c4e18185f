import type { Redis } from "ioredis";
import { unconfirmedKey } from "./keys.ts";

/*
 * Batches that servers acknowledged and Redis may have lost. A server remembers the batches it appended until they are
 * stored. When it meets another Redis process, it reports them beside the stream: in a list for each shard, whose elements
 * are parts of reports. Consumers check which of these batches are neither stored nor in the stream.
 */

/** One batch that a server appended and acknowledged. */
export interface AppendedBatch {
  /** The id of its entry in the stream at that time. */
  readonly id: string;
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
}

/** The batches that one server appended to one shard of the previous Redis process. */
export interface UnconfirmedReport {
  /** Random and unique. */
  readonly name: string;
  /** In the order of their ids. */
  readonly batches: readonly AppendedBatch[];
  /** Earlier batches that may be lost and that the server no longer remembers. */
  readonly forgottenCount: number;
}

const batchesPerPart = 500;

/** A shard's list keeps this many parts, the newest: 200,000 batches of about 100 bytes. */
const partsMax = 400;

type Row = readonly [id: string, deviceId: string, sessionId: string, sequence: string];
type Part = readonly [name: string, forgottenCount: number, rows: readonly Row[]];

/** Throws when Redis is unreachable or full. */
export async function pushReport(
  redis: Pick<Redis, "rpush" | "ltrim">,
  shard: number,
  { name, batches, forgottenCount }: UnconfirmedReport,
): Promise<void> {
  const parts: string[] = [];
  for (let from = 0; from < Math.max(1, batches.length); from += batchesPerPart) {
    const rows = batches
      .slice(from, from + batchesPerPart)
      .map(({ id, deviceId, sessionId, sequence }): Row => [id, deviceId, sessionId, sequence.toString()]);
    parts.push(JSON.stringify([name, from === 0 ? forgottenCount : 0, rows] satisfies Part));
  }
  await redis.rpush(unconfirmedKey(shard), ...parts);
  await redis.ltrim(unconfirmedKey(shard), -partsMax, -1);
}

/** Parts that wait. */
export function countParts(redis: Pick<Redis, "llen">, shard: number): Promise<number> {
  return redis.llen(unconfirmedKey(shard));
}

/** The oldest `count` parts. */
export function readParts(redis: Pick<Redis, "lrange">, shard: number, count: number): Promise<string[]> {
  return redis.lrange(unconfirmedKey(shard), 0, count - 1);
}

/** Removes checked parts. By value: another consumer may have removed them, and other parts moved to their index. */
export async function removeParts(
  redis: Pick<Redis, "lrem">,
  shard: number,
  parts: readonly string[],
): Promise<void> {
  for (const part of parts) await redis.lrem(unconfirmedKey(shard), 1, part);
}

/** Joins parts to reports. Passes malformed parts to `onUnreadable`. */
export function toReports(
  texts: readonly string[],
  onUnreadable: (text: string) => void,
): UnconfirmedReport[] {
  const parts = texts.flatMap((text) => {
    const part = readPart(text);
    if (part === undefined) onUnreadable(text);
    return part === undefined ? [] : [part];
  });
  return [...Map.groupBy(parts, ([name]) => name)].map(([name, own]) => ({
    name,
    batches: own.flatMap(([, , rows]) => rows.map(toBatch)),
    forgottenCount: own.reduce((sum, [, forgotten]) => sum + forgotten, 0),
  }));
}

function toBatch([id, deviceId, sessionId, sequence]: Row): AppendedBatch {
  return { id, deviceId, sessionId, sequence: BigInt(sequence) };
}

function readPart(text: string): Part | undefined {
  try {
    const [name, forgottenCount, rows] = JSON.parse(text) as Part;
    if (!Array.isArray(rows) || !rows.every((row) => Array.isArray(row) && /^\d{1,19}$/.test(row[3]))) return;
    return [name, forgottenCount, rows];
  } catch {
    return undefined; // not JSON
  }
}
