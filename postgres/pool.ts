import { Kysely, PostgresDialect } from "kysely";
import { Pool } from "pg";
import type { Logger } from "#lib/logger.ts";
import type { Database } from "./tables.ts";

/** How a program uses PostgreSQL. */
export interface PoolOptions {
  readonly databaseUrl: string;
  /** What pg_stat_activity shows, such as "fleetlog-consumer". */
  readonly applicationName: string;
  readonly connectionsMax: number;
  /** The server ends a statement, the wait for a lock included, after this. */
  readonly statementTimeoutMs: number;
  /** The server gives up waiting for a lock after this; 0: only the statement timeout counts. */
  readonly lockTimeoutMs: number;
  readonly connectTimeoutMs: number;
  /** Fixed for the session, such as `{ synchronous_commit: "on" }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * No timeout of PostgreSQL ends a session that waits for the rest of a COPY. When the client's machine disappears, the
 * session would keep its locks for two hours; with these settings, for 25 s.
 */
const halfOpen = { tcp_keepalives_idle: "10", tcp_keepalives_interval: "5", tcp_keepalives_count: "3" };

/**
 * Creates a pool whose statements always end: PostgreSQL cancels slow ones, and one second later the client gives up,
 * which detects a server that no longer answers. Errors of idle connections are logged; without a listener they would end
 * the process. For a program's `main.ts` and for tests.
 */
export function createPool(options: PoolOptions, logger: Logger): Pool {
  const settings = Object.entries({ ...halfOpen, ...options.settings });
  const pool = new Pool({
    connectionString: options.databaseUrl,
    application_name: options.applicationName,
    max: options.connectionsMax,
    statement_timeout: options.statementTimeoutMs,
    lock_timeout: options.lockTimeoutMs,
    query_timeout: options.statementTimeoutMs + 1_000,
    idle_in_transaction_session_timeout: options.statementTimeoutMs * 2,
    connectionTimeoutMillis: options.connectTimeoutMs,
    idleTimeoutMillis: 60_000,
    keepAlive: true,
    options: settings.map(([name, value]) => `-c ${name}=${value}`).join(" "),
  });
  const onError = (error: Error) => logger.warn({ err: error }, "a connection to PostgreSQL failed");
  pool.on("error", onError);
  pool.on("connect", (client) => client.on("error", onError));
  return pool;
}

/** Typed queries over the pool. `destroy()` ends the pool too. */
export function createDatabase(pool: Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) });
}
