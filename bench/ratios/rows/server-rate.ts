import type { LoadJob } from "#bench/path/load.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Readings, Row } from "#bench/ratios/row.ts";

const titles = {
  StreamLogs: "gRPC stream",
  PushLogs: "unary gRPC",
  PushLogsByConnect: "unary Connect",
} as const;

/**
 * One server, without Nginx and with no consumer running, against a bare `node:http2` server that sends the same bytes
 * back. The server has every batch on disk before it answers; what it costs without that stands beside it.
 */
export function serverRateRow(rpc: LoadJob["rpc"], recordsPerBatch: number): Row {
  const isGrpc = rpc !== "PushLogsByConnect";
  const rate = async (bench: RatioBench, name: string, target: string, echo = false): Promise<Readings> => {
    const { batches, seconds, cpu } = await bench.ingestOnly(recordsPerBatch, { rpc, target, echo });
    const isWhole = name === "server";
    return { [name]: { value: batches / seconds, ...(isWhole && { cpu }) } };
  };
  return {
    title: `One server, ${titles[rpc]}, batches of ${recordsPerBatch} ÷ bare http2`,
    unit: "batches/s",
    measure: [
      async (bench) => {
        const { system } = await bench.system({ consumer: false });
        return rate(bench, "server", system.servers[0]?.addresses[isGrpc ? "grpc" : "http"] ?? "");
      },
      ...(isGrpc
        ? [
            async (bench: RatioBench) =>
              rate(bench, allBut, (await bench.peer("grpc-without-append.ts")).address),
          ]
        : []),
      async (bench) => rate(bench, "bare http2", (await bench.peer("http2-echo.ts")).address, true),
    ],
    ratios: [
      { of: "server", over: "bare http2", ...(isGrpc && { atLeast: 0.75 }) },
      ...(isGrpc ? [{ of: allBut, over: "bare http2" }] : []),
    ],
  };
}

const allBut = "server, all but the append";
