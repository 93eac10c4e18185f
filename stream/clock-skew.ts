import { listMasters, type StreamRedis } from "./connection.ts";
import { timeMs } from "./group-info.ts";

/**
 * Returns a line for each Redis whose clock differs by more than `msMax` from this process's. Half of the round trip is
 * subtracted, and again as the uncertainty of the result. Throws when Redis, or a node of it, is unreachable.
 */
export async function clockProblems(redis: StreamRedis, msMax: number): Promise<string[]> {
  const problems = await Promise.all(
    listMasters(redis).map(async (node) => {
      const sentAt = performance.now();
      const [seconds, micros] = await node.time();
      const unsureMs = (performance.now() - sentAt) / 2;
      const aheadMs = Date.now() - unsureMs - timeMs([String(seconds), String(micros)]);
      if (Math.abs(aheadMs) - unsureMs <= msMax) return [];
      const direction = aheadMs > 0 ? "ahead of" : "behind";
      return [
        `this server's clock is ${Math.round(Math.abs(aheadMs) / 1_000)} s ${direction} that of Redis ${node.options.host}:${node.options.port}, ` +
          `the limit is ${msMax / 1_000} s (CLOCK_SKEW_SECONDS_MAX): received_at would be wrong`,
      ];
    }),
  );
  return problems.flat();
}
