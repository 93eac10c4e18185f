import { Cluster, type Redis } from "ioredis";
import { acknowledge } from "#stream/ack.ts";
import { ClusterReader } from "#stream/cluster-reader.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { type ReaderOptions, StreamReader } from "#stream/reader.ts";
import type { Source } from "./consumer.ts";

/**
 * Entries of a shard per read, however small the last ones were: bounds the bytes of a read when batches of 1 MiB follow
 * tiny ones. A flush of tiny batches needs several reads.
 */
const entriesPerReadMax = 128;

/** Builds the {@link Source} that reads the stream. Use `readRedis` for nothing else. */
export function createSource(
  readRedis: StreamRedis,
  commandRedis: StreamRedis,
  given: Omit<ReaderOptions, "countMax">,
): Source {
  const options = { ...given, countMax: entriesPerReadMax };
  const reading =
    readRedis instanceof Cluster
      ? readCluster(readRedis, options)
      : readOne(readRedis, commandRedis, options);
  return { ...reading, acknowledge: (positions) => acknowledge(commandRedis, positions) };
}

type Reading = Pick<Source, "read" | "wake">;

function readCluster(redis: Cluster, options: ReaderOptions): Reading {
  const reader = new ClusterReader(redis, options);
  return { read: () => reader.read(), wake: async () => {} }; // a read never waits for long
}

/**
 * Replaces the reader after a failed read: Redis may have delivered entries in a reply that never arrived, and a new
 * reader starts with the pending entries.
 */
function readOne(readRedis: Redis, commandRedis: StreamRedis, options: ReaderOptions): Reading {
  const newReader = () => new StreamReader(readRedis, options);
  let reader = newReader();
  let connectionId: number | undefined;
  const readConnectionId = () => {
    readRedis.client("ID").then(
      (id) => (connectionId = id),
      () => (connectionId = undefined),
    );
  };
  readRedis.on("ready", readConnectionId);
  if (readRedis.status === "ready") readConnectionId();
  return {
    async read() {
      try {
        return await reader.read();
      } catch (error) {
        reader = newReader();
        throw error;
      }
    },
    async wake() {
      // If this comes too early or fails, the read ends after at most 2 s anyway.
      if (connectionId !== undefined)
        await commandRedis.client("UNBLOCK", connectionId).catch(() => undefined);
    },
  };
}
