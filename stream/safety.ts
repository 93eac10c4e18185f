import type { Redis } from "ioredis";
import { listMasters, type StreamRedis } from "./connection.ts";

/** Values with which no acknowledged batch is lost, and the danger of any other. */
interface Rule {
  readonly safe: readonly string[];
  readonly danger: string;
}

const settings: Readonly<Record<string, Rule>> = {
  appendonly: { safe: ["yes"], danger: "nothing is on disk when a batch is acknowledged" },
  appendfsync: { safe: ["always"], danger: "Redis answers before the batch is on disk" },
  "no-appendfsync-on-rewrite": {
    safe: ["no"],
    danger: "fsync is off while the append-only file is rewritten",
  },
  save: { safe: [""], danger: "one failed snapshot stops all writes" },
  "maxmemory-policy": {
    safe: ["volatile-lru", "volatile-lfu", "volatile-ttl", "volatile-random", "noeviction"],
    danger: "a full Redis evicts batches that are not stored yet",
  },
};

const state: Readonly<Record<string, Rule>> = {
  role: { safe: ["master"], danger: "a replica accepts no writes" },
  aof_enabled: { safe: ["1"], danger: "the append-only file is off" },
  aof_last_write_status: { safe: ["ok"], danger: "the last write to the append-only file failed" },
};

/**
 * Returns the settings of Redis with which acknowledged batches could be lost: one line each, with the value and the
 * expected one; in a cluster, of each node. Empty: safe. Throws when Redis, or a node of it, is unreachable.
 */
export async function unsafeSettings(redis: StreamRedis): Promise<string[]> {
  const nodes = listMasters(redis);
  const problems = await Promise.all(
    nodes.map(async (node) => {
      const name = nodes.length === 1 ? "Redis" : `Redis ${node.options.host}:${node.options.port}`;
      return (await findUnsafeSettings(node)).map((problem) => `${name}: ${problem}`);
    }),
  );
  return problems.flat();
}

async function findUnsafeSettings(redis: Redis): Promise<string[]> {
  return [...violations(await readSettings(redis), settings), ...violations(await readState(redis), state)];
}

function violations(seen: ReadonlyMap<string, string>, rules: Readonly<Record<string, Rule>>): string[] {
  return Object.entries(rules).flatMap(([name, { safe, danger }]) => {
    const value = seen.get(name);
    if (value !== undefined && safe.includes(value)) return [];
    const shown = value === undefined ? "unknown" : JSON.stringify(value);
    return [`${name} is ${shown}, expected ${JSON.stringify(safe[0])}: ${danger}`];
  });
}

/** Empty when Redis does not permit CONFIG GET: every setting is then unknown, and so unsafe. */
async function readSettings(redis: Pick<Redis, "config">): Promise<Map<string, string>> {
  try {
    const pairs: string[] = await redis.config("GET", ...(Object.keys(settings) as [string]));
    return new Map(Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[i * 2]!, pairs[i * 2 + 1]!]));
  } catch (error) {
    if (error instanceof Error && /^(NOPERM|ERR unknown command)/.test(error.message)) return new Map();
    throw error;
  }
}

async function readState(redis: Pick<Redis, "info">): Promise<Map<string, string>> {
  const text = `${await redis.info("persistence")}\n${await redis.info("replication")}`;
  return new Map(
    text.split(/\r?\n/).flatMap((line) => {
      const colon = line.indexOf(":");
      return colon > 0 ? [[line.slice(0, colon), line.slice(colon + 1)] as [string, string]] : [];
    }),
  );
}
