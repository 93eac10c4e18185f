import { Client } from "pg";

/** A role that may read every table and write none: for the gateway, Grafana, or operators. */
export interface ReaderRole {
  readonly name: string;
  readonly password: string;
  /** `GRANT … TO` it besides, such as `pg_monitor`. */
  readonly memberOf?: readonly string[];
  /** `ALTER ROLE … SET` of it, such as `{ statement_timeout: "30s" }`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Maximum number of sessions; unlimited by default. */
  readonly connectionsMax?: number;
}

/** The role in `url`, which has a user and a password. */
export function parseRole(url: string): ReaderRole {
  const { username, password } = new URL(url);
  return { name: decodeURIComponent(username), password: decodeURIComponent(password) };
}

/**
 * Creates the role, or sets the password of the existing one. The role of `databaseUrl` may create roles and grant
 * pg_read_all_data, like a superuser. Safe to repeat, and to run several times at once. Throws PostgreSQL's error, and
 * for a role that can do more than read, such as an owner of tables, which would lose its privileges.
 */
export async function ensureReader(databaseUrl: string, role: ReaderRole): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const name = client.escapeIdentifier(role.name);
    await client.query("BEGIN");
    // Without it, one of two concurrent ALTER ROLE fails with "tuple concurrently updated".
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
    // The role could switch this off, but not its missing privileges; it only reports mistakes earlier.
    for (const [setting, value] of Object.entries({
      default_transaction_read_only: "on",
      ...role.settings,
    })) {
      await client.query(`ALTER ROLE ${name} SET ${setting} = ${client.escapeLiteral(value)}`);
    }
    // Not table by table: the role must also read future partitions and tables.
    await client.query(`GRANT ${["pg_read_all_data", ...(role.memberOf ?? [])].join(", ")} TO ${name}`);
    await client.query("COMMIT");
  } finally {
    await client.end();
  }
}

/** True for a role that administers, or owns tables. */
const canMoreSql = `
  SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    OR EXISTS (SELECT FROM pg_class WHERE relowner = pg_roles.oid AND relpersistence <> 't') AS can_more
  FROM pg_roles WHERE rolname = $1`;
