import type { Redis } from "ioredis";

/** What this Redis uses, and what it may use before it refuses batches; `bytesMax` is 0 when it has no limit. */
export async function memoryOf(redis: Pick<Redis, "info">): Promise<{ usedBytes: number; bytesMax: number }> {
  const text = await redis.info("memory");
  const number = (name: string) => {
    const [, digits] = new RegExp(`^${name}:(\\d+)\\r?$`, "m").exec(text) ?? [];
    if (digits === undefined) throw new Error(`Redis: INFO memory has no ${name}`);
    return Number(digits);
  };
  return { usedBytes: number("used_memory"), bytesMax: number("maxmemory") };
}
