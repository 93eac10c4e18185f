import { dirname, join } from "node:path";
import { execa } from "execa";
import { Redis } from "ioredis";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { encodeBatch } from "#bench/path/batch-pool.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";
import { findBinary } from "#dev/binaries.ts";
import { StreamAppender } from "#stream/append.ts";
import { commandConnection } from "#stream/connection.ts";

const recordsPerBatch = 100;
const inFlightCount = 256;

export const appendsRow: Row = {
  title: `Appends of batches of ${recordsPerBatch}, ${inFlightCount} in flight, each on disk ÷ redis-benchmark with as many bytes`,
  unit: "appends/s",
  measure: [appender, redisBenchmark],
  ratios: [{ of: "StreamAppender, 1 connection", over: "redis-benchmark -c 8 -P 32" }],
};

async function appender(bench: RatioBench): Promise<Readings> {
  const { system } = await bench.system({ consumer: false });
  const redis = new Redis(system.redis.url, { ...commandConnection, lazyConnect: true });
  redis.on("error", (error: Error) => process.stderr.write(`redis: ${error.message}\n`));
  try {
    await redis.connect();
    const appender = new StreamAppender(redis, { shards: 4, inFlightMax: 1_000, inFlightBytesMax: 64 << 20 });
    const batches = bench.pool(recordsPerBatch).map((records, index) => {
      const batch = encodeBatch(`device-${index % 96}`, "bench", BigInt(index + 1), records);
      return { batch, digest: digest(scan(batch)) };
    });
    let next = 0;
    const worker = async () => {
      for (let index = next++; index < batches.length; index = next++) {
        await appender.append({
          deviceId: `device-${index % 96}`,
          sessionId: "bench",
          sequence: BigInt(index + 1),
          receivedAtMicros: Date.now() * 1_000,
          ...batches[index]!,
        });
      }
    };
    const startedAt = performance.now();
    await Promise.all(Array.from({ length: inFlightCount }, worker));
    const seconds = (performance.now() - startedAt) / 1_000;
    return { "StreamAppender, 1 connection": { value: batches.length / seconds } };
  } finally {
    redis.disconnect();
    await bench.emptyStreams();
  }
}

async function redisBenchmark(bench: RatioBench): Promise<Readings> {
  const { system } = await bench.system({ consumer: false });
  const part = await findBinary("redis");
  const pool = bench.pool(recordsPerBatch);
  const bytes = Math.round(pool.reduce((sum, batch) => sum + batch.length, 0) / pool.length);
  const key = "bench:appends";
  const args = ["-p", String(system.redis.port), "-n", String(pool.length), "-c", "8", "-P", "32", "--csv"];
  const { stdout } = await execa(
    join(dirname(part.command), "redis-benchmark"),
    [...args, "XADD", key, "*", "batch", "x".repeat(bytes)],
    { env: { ...part.env }, timeout: 120_000 },
  );
  await (await bench.redis()).del(key);
  // "test","rps",… and then the values; the name of the test is the command itself.
  const value = Number(/","(\d+(?:\.\d+)?)",/.exec(stdout.split("\n").at(-1) ?? "")?.[1]);
  if (!(value > 0)) throw new Error(`redis-benchmark: no rate in ${stdout.slice(-300)}`);
  return { "redis-benchmark -c 8 -P 32": { value } };
}
