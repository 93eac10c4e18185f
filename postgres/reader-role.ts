import { Client } from "pg";

/** A role that may read every table and write none: the gateway's, Grafana's, people's. */
export interface ReaderRole {
  readonly name: string;
  readonly password: string;
  /** `GRANT … TO` it besides, such as `pg_monitor`. */
  readonly memberOf?: readonly string[];
  /** `ALTER ROLE … SET` of it, such as `{ statement_timeout: "30s" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Sessions it may have at a time; without a limit unless set. */
  readonly connectionsMax?: number;
}

/** The role by which `url`, which has user and password, connects. */
export function parseRole(url: string): ReaderRole {
  const { username, password } = new URL(url);
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}

/**
 * Makes the role, or gives the one that is there this password. `databaseUrl` is of a role that may make roles and
 * grant pg_read_all_data, as a superuser may. Safe to run again and by several at once. Throws what PostgreSQL threw,
 * and for a role that can do more than read, such as an owner of tables, which would lose that.
 */
export async function ensureReader(databaseUrl: string, role: ReaderRole): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const name = client.escapeIdentifier(role.name);
    await client.query("BEGIN");
    // Two that alter a role at the same time: one would fail with "tuple concurrently updated".
    await client.query("SELECT pg_advisory_xact_lock(hashtextextended('fleetlog reader role', 0))");
    const { rows } = await client.query<{ can_more: boolean }>(canMoreSql, [role.name]);
    if (rows[0]?.can_more) {
      throw new Error(
        `the role ${role.name} has more privileges than reading: choose another name for the read-only role`,
      );
    }
    if (rows.length === 0) await client.query(`CREATE ROLE ${name}`);
    await client.query(
      `ALTER ROLE ${name} LOGIN CONNECTION LIMIT ${role.connectionsMax ?? -1} PASSWORD ${client.escapeLiteral(role.password)}`,
    );
    // What it cannot switch off are its rights; this turns mistakes away earlier.
    for (const [setting, value] of Object.entries({
      default_transaction_read_only: "on",
      ...role.settings,
    })) {
      await client.query(`ALTER ROLE ${name} SET ${setting} = ${client.escapeLiteral(value)}`);
    }
    // Not single tables: tomorrow's partitions and the tables of the next version are to be read, too.
    await client.query(`GRANT ${["pg_read_all_data", ...(role.memberOf ?? [])].join(", ")} TO ${name}`);
    await client.query("COMMIT");
  } finally {
    await client.end();
  }
}

/** Whether the role is one that administers, or owns tables. */
const canMoreSql = `
  SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relpersistence <> 't') AS can_more
  FROM pg_roles WHERE rolname = $1`;
