import { Cluster, type Redis } from "ioredis";
import { acknowledge } from "#stream/ack.ts";
import { ClusterReader } from "#stream/cluster-reader.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { type ReaderOptions, StreamReader } from "#stream/reader.ts";
import type { Source } from "./consumer.ts";

/**
 * How many entries of a shard one read may bring, however small the last ones were: it bounds what a sudden run of
 * batches of 1 MiB can bring at once. A flush of tiny batches takes several reads.
 */
const entriesPerReadMax = 128;

/** The stream as a {@link Source}. `readRedis` is used for nothing else. */
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
  return { ...reading, acknowledge: (places) => acknowledge(commandRedis, places) };
}

type Reading = Pick<Source, "read" | "wake">;

function readCluster(redis: Cluster, options: ReaderOptions): Reading {
  const reader = new ClusterReader(redis, options);
  return { read: () => reader.read(), wake: async () => {} }; // it never waits for long
}

/**
 * A reader whose read failed is replaced: Redis may have handed over entries in an answer that never arrived, and a
 * new reader begins with what is pending.
 */
function readOne(readRedis: Redis, commandRedis: StreamRedis, options: ReaderOptions): Reading {
  const newReader = () => new StreamReader(readRedis, options);
  let reader = newReader();
  let connectionId: number | undefined;
  const learnConnectionId = () => {
    readRedis.client("ID").then(
      (id) => (connectionId = id),
      () => (connectionId = undefined),
    );
  };
  readRedis.on("ready", learnConnectionId);
  if (readRedis.status === "ready") learnConnectionId();
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
      // When this comes too early or fails, the read ends by itself after at most 2 s.
      if (connectionId !== undefined)
        await commandRedis.client("UNBLOCK", connectionId).catch(() => undefined);
    },
  };
}
