import { toShard } from "./keys.ts";

/*
 * How far sessions are committed is known to PostgreSQL alone, and wanted by servers, which do not know it. Per shard
 * there are two channels of sharded pub/sub:
 *
 *   progress:   consumers say, after each COMMIT, how far the sessions in it have come; and answer questions
 *   questions:  servers ask for sessions that a device has begun to watch, or that have been silent for a while
 *
 * Messages may be lost, doubled and overtaken. Each one says what was committed when it was made, so the worst that
 * any of this does is to tell a device late. Whoever asks asks again. Nothing of it is stored in Redis.
 */

/** One session of one device. */
export interface SessionKey {
  readonly deviceId: string;
  readonly sessionId: string;
}

/** All batches of the session up to this one are settled in PostgreSQL; 0: not even the first. */
export interface SessionProgress extends SessionKey {
  readonly committed: bigint;
  /** How many of them are not stored: they were declared as dropped, by whoever spoke for the device. */
  readonly droppedCount: bigint;
}

/** First and last sequence, both included, decimal. */
export type SequenceRangeText = readonly [first: string, last: string];

/** Everything that is known of a session, at most the lowest 1,000 ranges of each kind. */
export interface SessionRanges extends SessionProgress {
  readonly received: readonly SequenceRangeText[];
  readonly dropped: readonly SequenceRangeText[];
}

export interface ProgressRequest extends SessionKey {
  /** Whether {@link SessionRanges} are wanted, or just the progress. */
  readonly withRanges: boolean;
}

export const progressChannel = (shard: number): string => `fleetlog:{${shard}}:progress`;
export const requestsChannel = (shard: number): string => `fleetlog:{${shard}}:questions`;

/** What to publish, a channel and its message for each shard that is concerned. */
export function encodeProgress(
  sessions: readonly (SessionProgress | SessionRanges)[],
  shards: number,
): readonly [channel: string, message: string][] {
  return groupByShard(sessions, shards).map(([shard, own]) => {
    const rows = own.map((session) => {
      const { deviceId, sessionId, committed, droppedCount } = session;
      const row: unknown[] = [deviceId, sessionId, committed.toString(), droppedCount.toString()];
      if ("received" in session) row.push(session.received, session.dropped);
      return row;
    });
    return [progressChannel(shard), JSON.stringify(rows)];
  });
}

/** Throws SyntaxError for what is no such message. */
export function decodeProgress(message: string): readonly (SessionProgress | SessionRanges)[] {
  return parseRows(message).map(([deviceId, sessionId, committed, droppedCount, received, dropped]) => {
    const progress = {
      deviceId: String(deviceId),
      sessionId: String(sessionId),
      committed: BigInt(String(committed)),
      droppedCount: BigInt(String(droppedCount)),
    };
    if (!Array.isArray(received) || !Array.isArray(dropped)) return progress;
    return {
      ...progress,
      received: received as SequenceRangeText[],
      dropped: dropped as SequenceRangeText[],
    };
  });
}

export function encodeRequests(
  questions: readonly ProgressRequest[],
  shards: number,
): readonly [channel: string, message: string][] {
  return groupByShard(questions, shards).map(([shard, own]) => {
    const rows = own.map(({ deviceId, sessionId, withRanges }) => [deviceId, sessionId, withRanges]);
    return [requestsChannel(shard), JSON.stringify(rows)];
  });
}

/** Throws SyntaxError for what is no such message. */
export function decodeRequests(message: string): readonly ProgressRequest[] {
  return parseRows(message).map(([deviceId, sessionId, withRanges]) => ({
    deviceId: String(deviceId),
    sessionId: String(sessionId),
    withRanges: withRanges === true,
  }));
}

/** A session's name as one string, for maps. */
export function sessionKeyText({ deviceId, sessionId }: SessionKey): string {
  return `${deviceId} ${sessionId}`;
}

function groupByShard<T extends SessionKey>(items: readonly T[], shards: number): readonly [number, T[]][] {
  return [...Map.groupBy(items, ({ deviceId }) => toShard(deviceId, shards))];
}

function parseRows(message: string): readonly unknown[][] {
  const rows: unknown = JSON.parse(message);
  if (Array.isArray(rows) && rows.every((row) => Array.isArray(row) && row.length >= 3)) return rows;
  throw new SyntaxError(`not a list of rows: ${message.slice(0, 100)}`);
}
