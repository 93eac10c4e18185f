import type { LoadJob } from "#bench/path/load.ts";
import type { RatioBench } from "#bench/ratios/ratio-bench.ts";
import type { Row } from "#bench/ratios/row.ts";

const recordsPerBatch = 100;

/** Both spread the streams over both servers. */
export function nginxRow(rpc: LoadJob["rpc"]): Row {
  return {
    title: `${rpc === "StreamLogs" ? "gRPC stream" : "Unary gRPC"} through Nginx ÷ direct, batches of ${recordsPerBatch}`,
    unit: "batches/s",
    measure: [
      async (bench) => {
        const { system } = await bench.system({ consumer: false });
        return { "through Nginx": await rate(bench, system.nginx.grpc) };
      },
      async (bench) => {
        const { system } = await bench.system({ consumer: false });
        return { direct: await rate(bench, system.servers.map(({ addresses }) => addresses.grpc).join(",")) };
      },
    ],
    ratios: [{ of: "through Nginx", over: "direct", atLeast: 0.75 }],
  };

  async function rate(bench: RatioBench, target: string) {
    const { batches, seconds, cpu } = await bench.ingestOnly(recordsPerBatch, { rpc, target });
    return { value: batches / seconds, cpu };
  }
}
