import type { Client } from "pg";
import { fleet } from "#bench/path/measure.ts";
import { emptyTables, storedRecords, untilStored } from "#bench/path/stored.ts";
import type { Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

/** A round sends a pool once; indexes and tables are those of its records alone. */
export const storageRow: Row = {
  title: "Bytes per record on its way and where it stays ÷ its bytes as sent",
  unit: "bytes",
  roundsMax: 1,
  measure: [
    async (bench) => {
      const { client, system } = await bench.system({ consumer: false });
      await emptyTables(client);
      const before = { redis: await redisBytes(), stored: await storedRecords(client) };
      const batches = bench.batches(recordsPerBatch);
      const records = batches * recordsPerBatch;
      const load = await bench.load(recordsPerBatch);
      await load.run({ ...fleet, rpc: "StreamLogs", target: system.nginx.grpc, batches });
      const inRedis = await redisBytes();
      const walBefore = await walPosition(client);
      await bench.system({ consumer: true });
      await untilStored(client, before.stored + records);
      const wal = (await walPosition(client)) - walBefore;
      const raw = bench.pool(recordsPerBatch).reduce((sum, batch) => sum + batch.length, 0);
      const perRecord = (bytes: number) => ({ value: bytes / records });
      return {
        "as sent": perRecord(raw),
        "Redis, memory": perRecord(inRedis.memory - before.redis.memory),
        "Redis, append-only file": perRecord(inRedis.file - before.redis.file),
        "write-ahead log": perRecord(wal),
        "table record_batches": perRecord(await recordsSize(client, "pg_table_size")),
        "its indexes": perRecord(await recordsSize(client, "pg_indexes_size")),
        "batches with its indexes": perRecord(await batchesSize(client)),
      };

      async function redisBytes(): Promise<{ memory: number; file: number }> {
        const redis = await bench.redis();
        const info = `${await redis.info("memory")}${await redis.info("persistence")}`;
        const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, "m").exec(info)?.[1]);
        return { memory: field("used_memory"), file: field("aof_current_size") };
      }
    },
  ],
  ratios: [
    "Redis, memory",
    "Redis, append-only file",
    "write-ahead log",
    "table record_batches",
    "its indexes",
    "batches with its indexes",
  ].map((of) => ({ of, over: "as sent" })),
};

async function walPosition(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>("select pg_current_wal_lsn() - '0/0' as bytes");
  return Number(rows[0]?.bytes);
}

/** Of all its partitions. */
async function recordsSize(client: Client, measure: "pg_table_size" | "pg_indexes_size"): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>(
    `select sum(${measure}(relid)) as bytes from pg_partition_tree('record_batches')`,
  );
  return Number(rows[0]?.bytes);
}

async function batchesSize(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: string }>("select pg_total_relation_size('batches') as bytes");
  return Number(rows[0]?.bytes);
}
