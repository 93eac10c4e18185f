import { type Kysely, sql } from "kysely";
import type { Database } from "#postgres/tables.ts";
import { readShardBacklog } from "#stream/backlog.ts";
import type { StreamRedis } from "#stream/connection.ts";
import { readGroups } from "#stream/group-info.ts";
import { groupName, streamKey } from "#stream/keys.ts";
import { type Finding, fail, ok, warn } from "./finding.ts";

const streamsFix =
  "Redis restarted with an older copy of its data, or without data: see FleetlogStreamsLost in docs/operations/runbooks.md.";

/** Whether the streams in Redis are those that PostgreSQL remembers, and how many entries wait. */
export async function checkStreams(db: Kysely<Database>, redis: StreamRedis): Promise<Finding[]> {
  const { rows: found } = await sql<{ exists: boolean }>`
    select to_regclass('stream_positions') is not null as exists`.execute(db);
  if (!found[0]?.exists) return []; // reported by postgres.migrations
  const positions = await db.selectFrom("stream_positions").selectAll().orderBy("shard").execute();
  const behind: string[] = [];
  let [waiting, reported] = [0, 0];
  for (const { shard, entries_added, at } of positions) {
    const added = (await redis.exists(streamKey(shard))) === 0 ? 0 : await entriesAdded(redis, shard);
    if (added < Number(entries_added)) {
      const seen = `${entries_added} at ${at.toISOString()}`;
      behind.push(`shard ${shard} has ${added} entries added, but ${seen}`);
    }
    const { undelivered, pending } = await readShardBacklog(redis, shard, "count");
    const group = (await readGroups(redis, shard)).find(({ name }) => name === groupName);
    waiting += undelivered.atMost + pending;
    reported += (group?.lag ?? undelivered.atMost) + pending;
  }
  return [
    behind.length === 0
      ? ok("redis.streams", "match the positions in PostgreSQL")
      : fail("redis.streams", behind.join("; "), streamsFix),
    reported === waiting
      ? ok("redis.backlog", `${waiting} entries wait to be stored`)
      : warn(
          "redis.backlog",
          `${waiting} entries wait to be stored, and Redis reports ${reported}`,
          "A running consumer corrects this within seconds. Check that one is running.",
        ),
    await checkIncidents(db),
  ];
}

async function entriesAdded(redis: StreamRedis, shard: number): Promise<number> {
  const info = (await redis.call("xinfo", "STREAM", streamKey(shard))) as unknown[];
  return Number(info[info.indexOf("entries-added") + 1]);
}

async function checkIncidents(db: Kysely<Database>): Promise<Finding> {
  const { rows } = await sql<{ kind: string; count: string }>`
    select kind, count(*) from incidents
    where kind in ('stream_rewound', 'stream_lost', 'entries_lost') and at > now() - interval '1 day'
    group by kind order by kind`.execute(db);
  if (rows.length === 0) return ok("redis.losses", "none in the last day");
  const found = rows.map(({ kind, count }) => `${count} × ${kind}`).join(", ");
  return warn(
    "redis.losses",
    `${found} in the last day`,
    "See FleetlogStreamsLost in docs/operations/runbooks.md.",
  );
}
