import { cpuSeconds } from "#bench/path/cpu.ts";
import type { LoadJob } from "#bench/path/load.ts";
import { fleet } from "#bench/path/measure.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";

/**
 * The saving of GRPC_FAST_PATH: CPU of a server without the append, with the fast path and on
 * @grpc/grpc-js alone. CPU and not a rate, which the load would limit.
 */
export function fastPathRow(rpc: LoadJob["rpc"], recordsPerBatch: number, isGzip = false): Row {
  const measure = async (bench: RatioBench, name: string, fastPath: "on" | "off"): Promise<Readings> => {
    const peer = await bench.peer("grpc-without-append.ts", fastPath);
    const load = await bench.load(recordsPerBatch);
    const batches = bench.batches(recordsPerBatch);
    const before = await cpuSeconds(peer.pid);
    await load.run({ ...fleet, rpc, batches, isGzip, target: peer.address });
    return { [name]: { value: (((await cpuSeconds(peer.pid)) - before) / batches) * 1e6 } };
  };
  const call = rpc === "StreamLogs" ? "streamed" : "unary";
  return {
    title: `Fast path ÷ @grpc/grpc-js, ${call}${isGzip ? ", gzip" : ""}, batches of ${recordsPerBatch}`,
    unit: "CPU µs of the server per batch, without the append",
    measure: [(bench) => measure(bench, fast, "on"), (bench) => measure(bench, grpcJs, "off")],
    ratios: [{ of: fast, over: grpcJs }],
  };
}

const fast = "fast path";
const grpcJs = "@grpc/grpc-js";
