import { toShard } from "./keys.ts";

/*
 * The protocol by which servers, which have no access to PostgreSQL, learn how far sessions are committed. Each shard has
 * two channels of sharded pub/sub:
 *
 *   progress:  consumers publish the progress of the sessions in each COMMIT, and answer requests
 *   requests:  servers request the progress of sessions that a device subscribed to, or without news for a while
 *
 * Messages may be lost, duplicated and reordered. Each one holds the state at the time it was made, so the worst effect is
 * that a device learns its progress late. Requests are repeated until answered. Nothing is stored in Redis.
 */

/** One session of one device. */
export interface SessionKey {
  readonly deviceId: string;
  readonly sessionId: string;
}

/** All batches of the session up to this one are settled in PostgreSQL; 0: not even the first. */
export interface SessionProgress extends SessionKey {
  readonly committed: bigint;
  /** How many of them are not stored but declared as dropped. */
  readonly droppedCount: bigint;
}

/** First and last sequence, both included, decimal. */
export type SequenceRangeText = readonly [first: string, last: string];

/** All ranges of a session, at most the lowest 1,000 of each kind. */
export interface SessionRanges extends SessionProgress {
  readonly received: readonly SequenceRangeText[];
  readonly dropped: readonly SequenceRangeText[];
}

export interface ProgressRequest extends SessionKey {
  /** True for {@link SessionRanges}, false for just the progress. */
  readonly withRanges: boolean;
}

export const progressChannel = (shard: number): string => `fleetlog:{${shard}}:progress`;
export const requestsChannel = (shard: number): string => `fleetlog:{${shard}}:requests`;

/** Encodes progress: a channel and its message for each shard with sessions. */
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

/** Throws SyntaxError for any other message. */
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
  requests: readonly ProgressRequest[],
  shards: number,
): readonly [channel: string, message: string][] {
  return groupByShard(requests, shards).map(([shard, own]) => {
    const rows = own.map(({ deviceId, sessionId, withRanges }) => [deviceId, sessionId, withRanges]);
    return [requestsChannel(shard), JSON.stringify(rows)];
  });
}

/** Throws SyntaxError for any other message. */
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
