import { randomBytes } from "node:crypto";
import { z } from "zod";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { type Env, integer, readEnv } from "#lib/config.ts";
import { readConfigOrExit } from "#lib/program.ts";

// `./manage.sh bench`: devices that stream through the front door as fast as they are acknowledged. Everything sent is
// stored, under names that begin with "bench-". For measurements that can be compared, see bench/.

/** How much is sent, and where to. Throws a ConfigError that lists every bad variable. */
export function readBenchConfig(env: Env) {
  return readEnv(
    {
      BENCH_ADDRESS: z.string().prefault("127.0.0.1:50051"),
      BENCH_DEVICES: integer(1, 1_000).prefault("20"),
      BENCH_SECONDS: integer(1, 3_600).prefault("10"),
      BENCH_BATCH_RECORDS: integer(1, 5_000).prefault("100"),
    },
    env,
  );
}

async function main(): Promise<void> {
  const config = readConfigOrExit(() => readBenchConfig(process.env));
  const run = randomBytes(3).toString("hex");
  let acknowledged = 0;
  let refused = 0;
  const startedAt = performance.now();
  const endAt = startedAt + config.BENCH_SECONDS * 1_000;

  async function device(number: number): Promise<void> {
    using stream = new DeviceStream({
      deviceId: `bench-${run}-${number}`,
      address: config.BENCH_ADDRESS,
      onAcknowledged: (_batch, ack) => {
        acknowledged += ack.accepted;
        refused += ack.rejected;
      },
      onRefused: (batch) => (refused += batch.recordCount),
    });
    while (performance.now() < endAt) {
      const timeUnixNano = BigInt(Date.now()) * 1_000_000n;
      const records = Array.from({ length: config.BENCH_BATCH_RECORDS }, (_, index) =>
        encodeRecord({
          timeUnixNano: timeUnixNano + BigInt(index) * 1_000n,
          severity: 9,
          logger: "sensor.climate",
          message: `temperature ${20 + (index % 10)}.5 C, humidity 41.2 %, dew point 7.3 C`,
          attributes: { sensor: "bme280-1" },
        }),
      );
      await stream.send(records, undefined);
    }
    await stream.flush(60_000);
  }

  await Promise.all(Array.from({ length: config.BENCH_DEVICES }, (_, number) => device(number + 1)));
  const seconds = (performance.now() - startedAt) / 1_000;
  const perSecond = Math.round(acknowledged / seconds);
  console.log(
    `${acknowledged} records of ${config.BENCH_DEVICES} devices acknowledged in ${seconds.toFixed(1)} s: ` +
      `${perSecond} records/s; ${refused} refused (devices bench-${run}-…)`,
  );
  // Not later: what the DNS of an internal network leaves unanswered would keep the process for half a minute.
  process.exit(refused === 0 ? 0 : 1);
}

if (import.meta.main) await main();
