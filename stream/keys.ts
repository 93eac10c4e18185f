import { crc32 } from "node:zlib";

/** The consumer group of every shard: all consumers share it. */
export const groupName = "consumers";

/** The key of one shard's stream. The braces put the whole shard into one slot of a Redis Cluster. */
export function streamKey(shard: number): string {
  return `fleetlog:{${shard}}:batches`;
}

/** The Redis process for which entries-read of the shard's group was verified; see backlog.ts. */
export function verifiedKey(shard: number): string {
  return `fleetlog:{${shard}}:verified`;
}

/** Reports of batches that servers appended to the shard and that may be lost; see unconfirmed.ts. */
export function unconfirmedKey(shard: number): string {
  return `fleetlog:{${shard}}:unconfirmed`;
}

/**
 * The shard that holds a device's batches, 0 to `shards` − 1. All programs must be started with the same number of
 * shards; after it grew, older batches are stored from the shard in which they are.
 */
export function toShard(deviceId: string, shards: number): number {
  return crc32(deviceId) % shards;
}

/** Every shard's number. */
export function allShards(shards: number): readonly number[] {
  return Array.from({ length: shards }, (_, shard) => shard);
}
