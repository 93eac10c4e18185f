import type { Redis } from "ioredis";
import { listMasters, type StreamRedis } from "#stream/connection.ts";
import { unsafeSettings } from "#stream/safety.ts";
import { type Finding, fail, formatBytes, ok, warn } from "./finding.ts";

/** Sharded publish and subscribe came with it. */
const majorMin = 7;

/** Every node's version and memory, and the settings that servers insist on. Throws when Redis is unreachable. */
export async function checkRedis(redis: StreamRedis): Promise<Finding[]> {
  const nodes = listMasters(redis);
  const findings = await Promise.all(nodes.map((node) => checkNode(node, nodes.length > 1)));
  return [...findings.flat(), ...(await checkSettings(redis))];
}

async function checkSettings(redis: StreamRedis): Promise<Finding[]> {
  const problems = await unsafeSettings(redis);
  if (problems.length === 0) return [ok("redis.settings", "acknowledged batches are on disk")];
  return problems.map((problem) =>
    fail(
      "redis.settings",
      problem,
      "Set it in redis.conf, or with CONFIG SET and CONFIG REWRITE. Servers refuse batches until then.",
    ),
  );
}

async function checkNode(node: Redis, isOneOfMany: boolean): Promise<Finding[]> {
  const name = isOneOfMany ? `${node.options.host}:${node.options.port}: ` : "";
  const info = `${await node.info("server")}\n${await node.info("memory")}`;
  const read = (field: string) => new RegExp(`^${field}:(.*?)\\r?$`, "m").exec(info)?.[1] ?? "";
  const version = read("redis_version");
  const versionFinding =
    Number.parseInt(version, 10) >= majorMin
      ? ok("redis.version", name + version)
      : fail("redis.version", `${name}${version || "unknown"}`, `Use Redis ${majorMin} or later.`);
  const memory = {
    used: Number(read("used_memory")),
    max: Number(read("maxmemory")),
    machine: Number(read("total_system_memory")),
  };
  return [versionFinding, memoryFinding(name, memory)];
}

function memoryFinding(
  name: string,
  { used, max, machine }: { readonly used: number; readonly max: number; readonly machine: number },
): Finding {
  const check = "redis.memory";
  const found = `${name}${formatBytes(used)} of ${max === 0 ? "no limit" : formatBytes(max)}`;
  if (max === 0) {
    return warn(
      check,
      found,
      "Set maxmemory: otherwise the system kills Redis in a long outage of PostgreSQL.",
    );
  }
  if (used > 0.9 * max) {
    return fail(
      check,
      found,
      "Servers refuse batches. Check that a consumer is running, or raise maxmemory.",
    );
  }
  if (used > 0.7 * max) return warn(check, found, "Check that consumers keep up, or raise maxmemory.");
  if (machine > 0 && max * 2 > machine) {
    return warn(
      check,
      `${found}, on a machine with ${formatBytes(machine)}`,
      "Rewriting the append-only file may need as much memory again: provide twice maxmemory, or lower it.",
    );
  }
  return ok(check, found);
}
