import { ensureReader, type ReaderRole } from "#postgres/reader-role.ts";

// The role of Grafana, and of people. Run by the profile `monitoring` of docker-compose.yml; safe to run again.

export function grafanaRole(password: string): ReaderRole {
  return {
    name: "fleetlog_reader",
    password,
    // The dashboard of PostgreSQL shows its sessions and the sizes of its files.
    memberOf: ["pg_monitor"],
    settings: { statement_timeout: "30s" },
    connectionsMax: 10,
  };
}

if (import.meta.main) {
  const { DATABASE_URL: databaseUrl, READER_PASSWORD: password } = process.env;
  if (!databaseUrl || !password) throw new Error("DATABASE_URL and READER_PASSWORD: expected both");
  const role = grafanaRole(password);
  await ensureReader(databaseUrl, role);
  console.log(`${role.name} may read`);
}
