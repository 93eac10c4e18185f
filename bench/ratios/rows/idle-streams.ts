import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startIdleStreams } from "#bench/path/fork.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import { residentMiB } from "#bench/ratios/resident-memory.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";
import { startProgram } from "#dev/programs.ts";

/** The cost of an idle device: its connection and its stream, in a server of its own. */
export const idleStreamsRow: Row = {
  title: "Memory of a server per idle stream, each on a connection of its own",
  unit: "KiB",
  roundsMax: 1,
  measure: [
    (bench) => memoryPerStream(bench, "at 1,000 streams", 1_000),
    (bench) => memoryPerStream(bench, "at 5,000 streams", 5_000),
  ],
  ratios: [
    { of: "at 1,000 streams", atMost: 60 },
    { of: "at 5,000 streams", atMost: 60 },
  ],
};

async function memoryPerStream(bench: RatioBench, name: string, streams: number): Promise<Readings> {
  const { system } = await bench.system({ consumer: true });
  const anyPort = "127.0.0.1:0";
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-idle-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const server = await startProgram({
    program: "server",
    name: "server-idle",
    env: { GRPC_LISTEN: anyPort, HTTP_LISTEN: anyPort, ADMIN_LISTEN: anyPort, REDIS_URL: system.redis.url },
    folder,
  });
  stack.defer(() => server.stop());
  const target = server.addresses.grpc ?? "";
  stack.use(await startIdleStreams(target, 10)); // the cost of the first calls is not a stream's
  const before = await residentMiB(server.pid);
  const { count } = stack.use(await startIdleStreams(target, bench.scaled(streams)));
  return { [name]: { value: ((await residentMiB(server.pid)) - before) * (1_024 / count) } };
}
