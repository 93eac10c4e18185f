import { createHash } from "node:crypto";
import type { Redis } from "ioredis";
import { groupName, streamKey } from "./keys.ts";

/**
 * Each shard's stream has an epoch: a random name, kept as a member of the consumers' group that reads nothing. It exists
 * exactly as long as the group and the stream: FLUSHALL, DEL, XGROUP DESTROY or an empty Redis remove it, and the next
 * call of readPositions draws another one. It is the only marker for a destroyed group: a changed epoch means that
 * batches may be gone that were acknowledged and not yet stored.
 *
 * An unchanged epoch does not prove the opposite: an older copy of the data has the same one. Only state outside of Redis
 * can detect that: {@link StreamPosition}s that servers and PostgreSQL remember.
 */
const prefix = "epoch-";

/** How far the stream of a shard has come. */
export interface StreamPosition {
  readonly shard: number;
  /** The Redis process that holds it, and the replication history: another one after a restart or a failover. */
  readonly process: string;
  readonly epoch: string;
  /** The id of the newest entry; `0-0` when there is none. */
  readonly lastId: string;
  /** Entries that were ever added. */
  readonly entriesAdded: number;
  /** All entries before this one are acknowledged, and so stored. */
  readonly storedBefore: string;
}

/**
 * Atomic, so that all callers agree on one name. Under OOM nothing can be created, but existing groups and epochs are
 * read. Ids never go back, even when the clock of the current Redis is behind: ARGV[3] is an id that was given.
 */
const script = `
local function value(list, name)
  for i = 1, #list, 2 do if list[i] == name then return list[i + 1] end end
end
local function isBefore(a, b)
  local aMs, aCounter = string.match(a, '(%d+)-(%d+)')
  local bMs, bCounter = string.match(b, '(%d+)-(%d+)')
  if aMs ~= bMs then return tonumber(aMs) < tonumber(bMs) end
  return tonumber(aCounter) < tonumber(bCounter)
end
local key, groupName = KEYS[1], ARGV[1]
redis.pcall('XGROUP', 'CREATE', key, groupName, '0', 'MKSTREAM')

local epoch
for _, member in ipairs(redis.call('XINFO', 'CONSUMERS', key, groupName)) do
  local name = value(member, 'name')
  if string.sub(name, 1, ${prefix.length}) == '${prefix}' then epoch = name end
end
if not epoch then
  epoch = ARGV[2]
  redis.call('XGROUP', 'CREATECONSUMER', key, groupName, epoch)
end

local stream = redis.call('XINFO', 'STREAM', key)
local newest = value(stream, 'last-entry')
if isBefore(value(stream, 'last-generated-id'), ARGV[3]) then redis.pcall('XSETID', key, ARGV[3]) end

local storedBefore = redis.call('XPENDING', key, groupName)[2]
if not storedBefore then
  for _, group in ipairs(redis.call('XINFO', 'GROUPS', key)) do
    if value(group, 'name') == groupName then storedBefore = value(group, 'last-delivered-id') end
  end
end
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. '-' .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
return {process, epoch, newest and newest[1] or '0-0', value(stream, 'entries-added'), storedBefore}`;

/**
 * Ensures that each shard has its stream, its group (at `0`) and its epoch, and that the next entries get higher ids than
 * `idsGiven`, by shard. Returns how far the streams were before that.
 */
export function readPositions(
  redis: Pick<Redis, "eval">,
  shards: readonly number[],
  idsGiven: (shard: number) => string = () => "0-0",
): Promise<StreamPosition[]> {
  return Promise.all(
    shards.map(async (shard) => {
      const drawn = `${prefix}${crypto.randomUUID().replaceAll("-", "").slice(0, 16)}`;
      const args = [groupName, drawn, idsGiven(shard)];
      const reply = await redis.eval(script, 1, streamKey(shard), ...args);
      const [process, epoch, lastId, entriesAdded, storedBefore] = reply as [
        string,
        string,
        string,
        number,
        string,
      ];
      return { shard, process, epoch, lastId, entriesAdded, storedBefore };
    }),
  );
}

/**
 * A number for each shard, never 0, that changes whenever acknowledged batches may have been lost: with the epoch, and
 * with the Redis process, which may have started on an older copy of its data.
 */
export function epochNumbers(positions: readonly StreamPosition[]): ReadonlyMap<number, bigint> {
  return new Map(
    positions.map(({ shard, process, epoch }) => {
      const hash = createHash("sha256").update(`${process} ${epoch}`).digest();
      return [shard, hash.readBigUInt64LE() | 1n];
    }),
  );
}
