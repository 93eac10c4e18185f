import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { groupName, streamKey } from "./keys.ts";

/**
 * Each shard's stream has an epoch: a random name drawn when the stream was created, kept as a member of the
 * consumers' group that reads nothing. It lives exactly as long as what is in the stream: FLUSHALL, DEL, XGROUP
 * DESTROY or an empty Redis in its place take it away, and the next one to look draws another. So a changed epoch
 * means that batches may be gone that were acknowledged and not yet stored.
 */
const prefix = "epoch-";

/**
 * Atomic, so that all who look agree on one name. Under OOM nothing can be created, but what is there is found. Returns
 * the run_id of the Redis that holds the shard, and the epoch.
 */
const script = `
local run = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0', 'MKSTREAM')
for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if string.sub(member[2], 1, ${prefix.length}) == '${prefix}' then return {run, member[2]} end
end
redis.call('XGROUP', 'CREATECONSUMER', KEYS[1], ARGV[1], ARGV[2])
return {run, ARGV[2]}`;

/** Makes sure that each shard has its stream, its group (at `0`) and its epoch; returns the epochs by shard. */
export async function ensureEpochs(
  redis: Pick<Redis, "eval">,
  shards: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  return new Map((await ask(redis, shards)).map(({ shard, epoch }) => [shard, epoch]));
}

function ask(redis: Pick<Redis, "eval">, shards: readonly number[]) {
  return Promise.all(
    shards.map(async (shard) => {
      const drawn = `${prefix}${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
      const answer = await redis.eval(script, 1, streamKey(shard), groupName, drawn);
      const [runId, epoch] = answer as [runId: string, epoch: string];
      return { shard, runId, epoch };
    }),
  );
}

/**
 * A number for each shard, never 0, that is another one whenever acknowledged batches may have been lost: with another
 * epoch, and with another process of Redis, which may have been started on an older copy of its data.
 */
export async function readEpochNumbers(
  redis: Pick<Redis, "eval">,
  shards: readonly number[],
): Promise<ReadonlyMap<number, bigint>> {
  return new Map(
    (await ask(redis, shards)).map(({ shard, runId, epoch }) => {
      const hash = createHash("sha256").update(`${runId} ${epoch}`).digest();
      return [shard, hash.readBigUInt64LE() | 1n];
    }),
  );
}
