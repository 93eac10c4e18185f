import { Client } from "pg";

// The role of Grafana, and of people: reads every table, and nothing else. Run by the profile `monitoring` of
// docker-compose.yml; safe to run again.

export const readerRole = "fleetlog_reader";

/** `databaseUrl` is of a role that may make roles and grant pg_read_all_data, as the owner in Compose may. */
export async function ensureReader(databaseUrl: string, password: string): Promise<void> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const { rowCount } = await client.query("SELECT FROM pg_roles WHERE rolname = $1", [readerRole]);
    if (rowCount === 0) await client.query(`CREATE ROLE ${readerRole}`);
    await client.query(
      `ALTER ROLE ${readerRole} LOGIN CONNECTION LIMIT 10 PASSWORD ${client.escapeLiteral(password)}`,
    );
    await client.query(`ALTER ROLE ${readerRole} SET statement_timeout = '30s'`);
    await client.query(`ALTER ROLE ${readerRole} SET default_transaction_read_only = on`);
    // pg_monitor: the dashboard of PostgreSQL shows its sessions and the sizes of its files.
    await client.query(`GRANT pg_read_all_data, pg_monitor TO ${readerRole}`);
  } finally {
    await client.end();
  }
}

if (import.meta.main) {
  const { DATABASE_URL: databaseUrl, READER_PASSWORD: password } = process.env;
  if (!databaseUrl || !password) throw new Error("DATABASE_URL and READER_PASSWORD: wanted both");
  await ensureReader(databaseUrl, password);
  console.log(`${readerRole} may read`);
}
