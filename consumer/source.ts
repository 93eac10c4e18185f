import type { Redis } from "ioredis";
import { acknowledge } from "#stream/ack.ts";
import { type ReaderOptions, StreamReader } from "#stream/reader.ts";
import type { Source } from "./consumer.ts";

/**
 * How many entries of a shard one read may bring, however small the last ones were: it bounds what a sudden run of
 * batches of 1 MiB can bring at once. A flush of tiny batches takes several reads.
 */
const entriesPerReadMax = 128;

/**
 * The stream as a {@link Source}. A reader whose read failed is replaced: Redis may have handed over entries in an
 * answer that never arrived, and a new reader begins with what is pending.
 */
export function createSource(
  readRedis: Redis,
  commandRedis: Redis,
  options: Omit<ReaderOptions, "countMax">,
): Source {
  const newReader = () => new StreamReader(readRedis, { ...options, countMax: entriesPerReadMax });
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
    acknowledge: (places) => acknowledge(commandRedis, places),
  };
}
