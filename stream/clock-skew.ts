import { listMasters, type StreamRedis } from "./connection.ts";
import { timeMs } from "./group-info.ts";

/**
 * A line for each Redis whose clock is more than `msMax` from this process's. Half of the time of asking is taken off, and
 * what that leaves unsure is not held against anybody. Throws when Redis, or a node of it, is unreachable.
 */
export async function clockProblems(redis: StreamRedis, msMax: number): Promise<string[]> {
  const problems = await Promise.all(
    listMasters(redis).map(async (node) => {
      const askedAt = performance.now();
      const [seconds, micros] = await node.time();
      const unsureMs = (performance.now() - askedAt) / 2;
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
