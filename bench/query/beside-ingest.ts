import { startLoad } from "#bench/path/fork.ts";
import { fleet } from "#bench/path/measure.ts";
import { callGateway } from "#bench/query/call-gateway.ts";
import { benchQueries } from "#bench/query/queries.ts";
import type { FleetSize } from "#bench/query/sample-fleet.ts";
import type { RunningSystem } from "#dev/system.ts";

/** ms from the moment a batch was due to its acknowledgement. */
export interface BesideIngest {
  readonly alone: Acks;
  readonly besideQueries: Acks;
  /** Queries completed while the second load ran. */
  readonly queries: number;
  /** Queries refused or aborted, which is the purpose of the gateway's limits. */
  readonly refused: number;
}

interface Acks {
  readonly p50: number;
  readonly p99: number;
}

const clients = 20;
const batchesPerSecond = 200;
const seconds = 10;
const recordsPerBatch = 100;

/**
 * Measures an open loop far below saturation, alone and beside twenty clients that send the most
 * expensive queries as fast as they can.
 */
export async function besideIngest(
  system: RunningSystem,
  target: string,
  size: FleetSize,
): Promise<BesideIngest> {
  const batches = batchesPerSecond * seconds;
  using load = await startLoad(batches, recordsPerBatch);
  const job = { ...fleet, target: system.nginx.grpc, rpc: "StreamLogs", batches, batchesPerSecond } as const;
  const acks = async () => (await load.run(job)).latency ?? { p50: Number.NaN, p99: Number.NaN };
  await acks(); // warms up; not counted
  const alone = await acks();
  const stop = new AbortController();
  const counts = { queries: 0, refused: 0 };
  const heavy = heavyCalls(size);
  const calling = Array.from({ length: clients }, async (_, asker) => {
    for (let round = asker; !stop.signal.aborted; round += clients) {
      await callGateway(target, heavy(round)).then(
        () => counts.queries++,
        () => counts.refused++,
      );
    }
  });
  const besideQueries = await acks();
  stop.abort();
  await Promise.all(calling);
  return { alone, besideQueries, ...counts };
}

/** The most expensive queries: a text that no index has, and histograms without precomputed counts. */
function heavyCalls(size: FleetSize) {
  const names = new Set(["word-in-all", "histogram-all", "statistics"]);
  const queries = benchQueries(size, []).filter(({ name }) => names.has(name));
  return (round: number) => {
    const query = queries[round % queries.length]!;
    const call = query.call(round);
    return query.name === "word-in-all" ? { ...call, body: { ...call.body, text: "zq" } } : call;
  };
}
