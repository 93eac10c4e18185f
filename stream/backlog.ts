import type { Redis } from "ioredis";
import { groupName, streamKey, verifiedKey } from "./keys.ts";

/** How many entries no consumer has acknowledged yet. Both bounds are equal when the number is known exactly. */
export interface Backlog {
  readonly atLeast: number;
  readonly atMost: number;
}

/** The backlog of one shard. */
export interface ShardBacklog {
  /** Entries that no consumer has read. */
  readonly undelivered: Backlog;
  /** Entries that a consumer has read and not acknowledged. */
  readonly pending: number;
  readonly lastDeliveredId: string;
}

/**
 * `bounds` reads no entry, so a program without access to entries may use it. `count` counts the entries of a short
 * backlog. `repair` also corrects Redis by that count.
 */
export type BacklogAccess = "bounds" | "count" | "repair";

/*
 * Redis's own `lag` is entries-added − entries-read, and entries-read can be wrong: Redis 7 writes it to disk when it
 * rewrites the append-only file, but not when entries are read after that. A process that starts on that file reports
 * these entries as a backlog, forever, and the next restart adds more.
 *
 * So `lag` is used only once it was verified in this process of Redis. Until then the entries after the last delivered
 * one are counted, by a bounded XRANGE. With `repair`, entries-read is corrected by that count (XGROUP SETID …
 * ENTRIESREAD), and the key of verifiedKey() names the process; from then on Redis counts right. A longer unverified
 * backlog has bounds: the entries counted, and the length of the stream.
 */
const script = `
local function fields(list)
  local named = {}
  for i = 1, #list, 2 do named[list[i]] = list[i + 1] end
  return named
end
local function isAfter(a, b)
  local aMs, aCounter = string.match(a, '(%d+)-(%d+)')
  local bMs, bCounter = string.match(b, '(%d+)-(%d+)')
  if aMs ~= bMs then return tonumber(aMs) > tonumber(bMs) end
  return tonumber(aCounter) > tonumber(bCounter)
end

local key, verified, groupName, access = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
if redis.call('EXISTS', key) == 0 then return {0, 0, 0, '0-0'} end
local stream, group = fields(redis.call('XINFO', 'STREAM', key)), nil
for _, one in ipairs(redis.call('XINFO', 'GROUPS', key)) do
  one = fields(one)
  if one.name == groupName then group = one end
end
local length = stream.length
if not group then return {length, length, 0, '0-0'} end

local last, lag = group['last-delivered-id'], group.lag
local process = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  .. string.match(redis.call('INFO', 'replication'), 'master_replid:(%w+)')
local isVerified = redis.call('GET', verified) == process
local isCounted, atLeast, atMost = true, 0, 0
if length > 0 and isAfter(stream['first-entry'][1], last) then
  atLeast, atMost = length, length
elseif length > 0 and isAfter(stream['last-entry'][1], last) then
  isCounted, atLeast, atMost = false, 1, math.max(1, math.min(lag or length, length))
  if isVerified and lag and lag <= length then
    atLeast, atMost = lag, lag
  elseif access ~= 'bounds' then
    local entryBytes = redis.call('MEMORY', 'USAGE', key) / length
    local max = math.max(10, math.min(1000, math.floor(${4 << 20} / entryBytes)))
    atLeast = #redis.call('XRANGE', key, '(' .. last, '+', 'COUNT', max)
    isCounted = atLeast < max
    atMost = isCounted and atLeast or math.max(atLeast, atMost)
  end
end

if access == 'repair' and isCounted and not (isVerified and lag == atLeast) then
  redis.call('XGROUP', 'SETID', key, groupName, last, 'ENTRIESREAD', stream['entries-added'] - atLeast)
  -- A full Redis refuses it: the next call sets it.
  redis.pcall('SET', verified, process)
end
return {atLeast, atMost, group.pending, last}`;

/** Reads the backlog of one shard: the whole stream without a group, 0 without a stream. Throws when Redis is unreachable. */
export async function readShardBacklog(
  redis: Pick<Redis, "eval" | "eval_ro">,
  shard: number,
  access: BacklogAccess,
): Promise<ShardBacklog> {
  const args = [streamKey(shard), verifiedKey(shard), groupName, access];
  // EVAL needs the permission to write its keys, EVAL_RO only that to read them.
  const reply = await (access === "repair"
    ? redis.eval(script, 2, ...args)
    : redis.eval_ro(script, 2, ...args));
  const [atLeast, atMost, pending, lastDeliveredId] = reply as [number, number, number, string];
  return { undelivered: { atLeast, atMost }, pending, lastDeliveredId };
}

/** Entries of all shards that no consumer has acknowledged yet. Reads no entry. Throws when Redis is unreachable. */
export async function readBacklog(
  redis: Pick<Redis, "eval" | "eval_ro">,
  shards: readonly number[],
): Promise<Backlog> {
  const backlogs = await Promise.all(shards.map((shard) => readShardBacklog(redis, shard, "bounds")));
  const sum = (bound: keyof Backlog) =>
    backlogs.reduce((total, { undelivered, pending }) => total + undelivered[bound] + pending, 0);
  return { atLeast: sum("atLeast"), atMost: sum("atMost") };
}
