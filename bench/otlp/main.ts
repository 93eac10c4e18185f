import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command } from "commander";
import { Redis } from "ioredis";
import { machineLine } from "#bench/machine.ts";
import { cpuSeconds } from "#bench/path/cpu.ts";
import { median } from "#bench/path/statistics.ts";
import { writeResults } from "#bench/results-folder.ts";
import { startProgram } from "#dev/programs.ts";
import { startRedis } from "#dev/redis.ts";
import { wholeNumber } from "#lib/options.ts";
import { type Call, exportCall, httpCall, pushCall, sendAll, sendStream } from "./calls.ts";
import { type SameRecords, sampleRequests } from "./requests.ts";

// The CPU time of a server for the same records by our own protocol and by OTLP, by turns in one run. No consumer
// runs: what is measured is the server alone.

const { records, rounds, save } = new Command("npm run bench:otlp --")
  .description("Compares the CPU time of a server for OTLP with that for our own protocol.")
  .option("--records <n>", "records of each measurement", wholeNumber(1_000, 10_000_000), 200_000)
  .option("--rounds <n>", "measurements of each kind", wholeNumber(1, 100), 5)
  .option("--no-save", "keeps no page in bench/results")
  .parse()
  .opts<{ records: number; rounds: number; save: boolean }>();

interface Kind {
  readonly name: string;
  readonly recordsPerRequest: number;
  readonly call: (same: SameRecords, number: number) => Call;
  readonly send?: (address: string, calls: readonly Call[]) => Promise<void>;
}

const own = "StreamLogs, gRPC, 100 records";
const kinds: readonly Kind[] = [
  {
    name: own,
    recordsPerRequest: 100,
    call: ({ batch }, number) => pushCall(batch(BigInt(number + 1))),
    send: sendStream,
  },
  {
    name: "PushLogs, gRPC, 100 records",
    recordsPerRequest: 100,
    call: ({ batch }, number) => pushCall(batch(BigInt(number + 1))),
  },
  { name: "OTLP/gRPC, 100 records", recordsPerRequest: 100, call: ({ otlp }) => exportCall(otlp) },
  { name: "OTLP/gRPC, 512 records", recordsPerRequest: 512, call: ({ otlp }) => exportCall(otlp) },
  { name: "OTLP/HTTP, protobuf, 512 records", recordsPerRequest: 512, call: ({ otlp }) => httpCall(otlp) },
  { name: "the same, gzip", recordsPerRequest: 512, call: ({ otlp }) => httpCall(otlp, true) },
  {
    name: "OTLP/HTTP, JSON, 512 records",
    recordsPerRequest: 512,
    call: ({ otlpJson }) => httpCall(otlpJson),
  },
];
const poolSize = 200;

const folder = await mkdtemp(join(tmpdir(), "fleetlog-bench-otlp-"));
const redis = await startRedis(folder, { maxmemory: "2gb" });
const admin = new Redis(redis.url);
const anyPort = "127.0.0.1:0";
const server = await startProgram({
  program: "server",
  name: "server",
  folder,
  env: { REDIS_URL: redis.url, GRPC_LISTEN: anyPort, HTTP_LISTEN: anyPort, ADMIN_LISTEN: anyPort },
});
try {
  const pools = new Map(
    [...new Set(kinds.map(({ recordsPerRequest }) => recordsPerRequest))].map((size) => [
      size,
      sampleRequests(poolSize, size),
    ]),
  );
  const measured = new Map(kinds.map(({ name }) => [name, [] as number[]]));
  let number = 0;
  for (let round = 0; round <= rounds; round++) {
    for (const kind of kinds) {
      const perSecond = await measure(kind, pools.get(kind.recordsPerRequest)!);
      if (round > 0) measured.get(kind.name)!.push(perSecond); // the first warms up
    }
  }
  await print(measured);

  async function measure(
    { call, recordsPerRequest, send = sendAll }: Kind,
    pool: readonly SameRecords[],
  ): Promise<number> {
    const count = Math.ceil(records / recordsPerRequest);
    const calls = Array.from({ length: count }, (_, index) => call(pool[index % pool.length]!, number++));
    const { grpc = "", http = "" } = server.addresses;
    const address = calls[0]!.contentType === "application/grpc" ? grpc : http;
    const before = await cpuSeconds(server.pid);
    await send(address, calls);
    const seconds = (await cpuSeconds(server.pid)) - before;
    for (const key of await admin.keys("fleetlog:*:batches")) await admin.xtrim(key, "MAXLEN", 0);
    return (count * recordsPerRequest) / seconds;
  }
} finally {
  admin.disconnect();
  await server.stop();
  await redis.stop();
  await rm(folder, { recursive: true, force: true });
}

async function print(measured: ReadonlyMap<string, readonly number[]>): Promise<void> {
  const base = measured.get(own)!;
  const lines = [...measured].map(([name, values]) => {
    const ratios = values.map((value, index) => value / base[index]!).sort((a, b) => a - b);
    const range = `${ratios[0]!.toFixed(2)} – ${ratios.at(-1)!.toFixed(2)}`;
    return `| ${name} | ${Math.round(median([...values]) / 1_000)} | ${median(ratios).toFixed(2)} | ${range} |`;
  });
  const page = `# OTLP beside our own protocol

${machineLine()}

\`npm run bench:otlp -- --records ${records} --rounds ${rounds}\`: one server and Redis, no consumer; the same records by each
way, by turns; CPU of the server, medians of the rounds, and the ratio to our own protocol within a round.

| way | thousand records per CPU second | ÷ StreamLogs | range |
|---|---:|---:|---|
${lines.join("\n")}
`;
  process.stdout.write(page);
  if (save) await writeResults("otlp", page);
}
