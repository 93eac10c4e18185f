import { type Kysely, sql } from "kysely";
import { pendingMigrations } from "#postgres/migrate.ts";
import { partitionsAhead } from "#postgres/partitions.ts";
import { openRequest } from "#postgres/retention-requests.ts";
import type { Database } from "#postgres/tables.ts";
import { type Finding, fail, formatBytes, ok, warn } from "./finding.ts";

/** With this one everything is tried. */
const majorTried = 18;

/**
 * Checks the version, settings, connections, and that the tables match this version. Throws when it is
 * unreachable.
 */
export async function checkPostgres(db: Kysely<Database>): Promise<Finding[]> {
  const settings = await readSettings(db);
  const findings = [
    ...settingFindings(settings),
    await collationFinding(db),
    await connectionsFinding(db, settings),
  ];
  const pending = await pendingMigrations(db);
  if (pending.length > 0) {
    const fix = "Run the migrations: npm run migrate, ./manage.sh migrate, or the Job migrate.";
    return [...findings, fail("postgres.migrations", `${pending.length} pending, first ${pending[0]}`, fix)];
  }
  return [
    ...findings,
    ok("postgres.migrations", "all applied"),
    partitionsFinding(await partitionsAhead(db)),
    await defaultPartitionFinding(db),
    await retentionFinding(db),
  ];
}

type Settings = ReadonlyMap<string, string>;

async function readSettings(db: Kysely<Database>): Promise<Settings> {
  const { rows } = await sql<{ name: string; value: string }>`
    select name, case unit when '8kB' then (setting::bigint * 8192)::text when 'MB' then (setting::bigint << 20)::text else setting end as value
    from pg_settings
    where name in ('server_version', 'server_version_num', 'fsync', 'full_page_writes', 'synchronous_commit', 'autovacuum',
      'TimeZone', 'shared_buffers', 'max_wal_size', 'max_connections', 'superuser_reserved_connections', 'reserved_connections')`.execute(
    db,
  );
  return new Map(rows.map(({ name, value }) => [name, value]));
}

/** Settings that must be on, and the consequence when they are not. */
const switches = [
  ["fsync", "fail", "a crash of the machine may destroy the whole database"],
  ["full_page_writes", "fail", "a crash during a write may destroy old records"],
  [
    "synchronous_commit",
    "warn",
    "consumers enable it for their sessions, but commits of other clients may be lost",
  ],
  ["autovacuum", "warn", "statistics become outdated and queries slow"],
] as const;

function settingFindings(settings: Settings): Finding[] {
  const read = (name: string) => settings.get(name) ?? "";
  const version = read("server_version");
  const isTried = Math.floor(Number(read("server_version_num")) / 10_000) === majorTried;
  return [
    isTried
      ? ok("postgres.version", version)
      : warn(
          "postgres.version",
          version,
          `Fleetlog is tested with PostgreSQL ${majorTried}: use that version.`,
        ),
    ...switches.map(([name, state, consequence]): Finding => {
      const value = read(name);
      if (value !== "off" && value !== "local") return ok(`postgres.${name}`, value);
      return { check: `postgres.${name}`, state, found: value, fix: `Enable it: ${consequence}.` };
    }),
    atLeast("shared_buffers", read("shared_buffers"), 128 << 20, "a quarter of the memory is recommended"),
    atLeast(
      "max_wal_size",
      read("max_wal_size"),
      2 ** 31,
      "COPY writes much WAL, and frequent checkpoints are expensive",
    ),
    /^(UTC|Etc\/UTC|GMT)$/i.test(read("TimeZone"))
      ? ok("postgres.timezone", read("TimeZone"))
      : warn(
          "postgres.timezone",
          read("TimeZone"),
          "Set timezone to UTC: partitions and statistics use days in UTC.",
        ),
  ];
}

function atLeast(name: string, value: string, bytesMin: number, why: string): Finding {
  const found = formatBytes(Number(value));
  if (Number(value) >= bytesMin) return ok(`postgres.${name}`, found);
  return warn(`postgres.${name}`, found, `Set it to ${formatBytes(bytesMin)} or more: ${why}.`);
}

async function connectionsFinding(db: Kysely<Database>, settings: Settings): Promise<Finding> {
  const { rows } = await sql<{ used: number }>`
    select count(*)::int as used from pg_stat_activity where coalesce(backend_type, 'client backend') = 'client backend'`.execute(
    db,
  );
  const used = rows[0]?.used ?? 0;
  const reserved = ["superuser_reserved_connections", "reserved_connections"];
  const usable = reserved.reduce(
    (left, name) => left - Number(settings.get(name) ?? 0),
    Number(settings.get("max_connections")),
  );
  const found = `${used} of ${usable} in use`;
  const fix =
    "Raise max_connections above gateways × DATABASE_CONNECTIONS_MAX + consumers × 6 + 10, and check which other clients are connected.";
  if (usable - used < 3) return fail("postgres.connections", found, fix);
  return used > 0.8 * usable || usable < 20
    ? warn("postgres.connections", found, fix)
    : ok("postgres.connections", found);
}

function partitionsFinding(daysAhead: number): Finding {
  const check = "postgres.partitions";
  const fix = "Start a consumer, which creates them every hour. If one is running, check its log.";
  if (daysAhead < 0) return fail(check, "today has none", fix);
  const found = `${daysAhead} days ahead`;
  return daysAhead < 3 ? warn(check, found, fix) : ok(check, found);
}

async function defaultPartitionFinding(db: Kysely<Database>): Promise<Finding> {
  const { rows } = await sql<{
    found: boolean;
  }>`select exists (select from record_batches_default) as found`.execute(db);
  if (!rows[0]?.found) return ok("postgres.default_partition", "empty");
  return warn(
    "postgres.default_partition",
    "holds records",
    "Their day had no partition, or retention dropped it: see FleetlogPartitionMissing in docs/operations/runbooks.md.",
  );
}

async function retentionFinding(db: Kysely<Database>): Promise<Finding> {
  const check = "postgres.retention";
  const request = await openRequest(db);
  if (!request || request.isConfirmed) return ok(check, "asks nothing");
  return fail(
    check,
    `waits for the confirmation of request ${request.id}: ${request.reasons.join("; ")}`,
    "Review it with fleetlog retention show (./manage.sh retention show). A clock may be wrong: see FleetlogRetentionUnconfirmed in docs/operations/runbooks.md.",
  );
}

async function collationFinding(db: Kysely<Database>): Promise<Finding> {
  const { rows } = await sql<{ name: string }>`
    select coalesce(nullif(to_jsonb(pg_database) ->> 'datlocale', ''), datcollate) as name
    from pg_database where datname = current_database()`.execute(db);
  const name = rows[0]?.name ?? "unknown";
  if (/^(C|POSIX|ucs_basic|C\.utf-?8)$/i.test(name)) return ok("postgres.collation", name);
  return warn(
    "postgres.collation",
    name,
    "The sort order depends on the system, and an update of the C library may corrupt text indexes: create the database with --locale-provider=builtin --builtin-locale=C.UTF-8, and migrate the data with pg_dump.",
  );
}
