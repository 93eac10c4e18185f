import { Kysely, PostgresDialect } from "kysely";
import type { Pool, PoolClient } from "pg";
import type { Database } from "./tables.ts";

/** One connection: `db` and `client` use the same PostgreSQL session. */
export interface Session {
  /** Typed queries. A transaction begun here also covers `client`. */
  readonly db: Kysely<Database>;
  /** For COPY, which Kysely does not support. */
  readonly client: PoolClient;
}

/**
 * Runs `work` on one connection of the pool. After a throw the connection is closed instead of released, because its
 * state is unknown.
 */
export async function withSession<T>(pool: Pool, work: (session: Session) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  let failed = true;
  try {
    const result = await work({ db: kyselyOn(client), client });
    failed = false;
    return result;
  } finally {
    client.release(failed);
  }
}

/** Gives Kysely the connection as a pool of one that is always free. */
function kyselyOn(client: PoolClient): Kysely<Database> {
  const connection = {
    query: client.query.bind(client),
    release: () => undefined,
  };
  return new Kysely<Database>({
    dialect: new PostgresDialect({
      pool: { options: {}, connect: () => Promise.resolve(connection), end: () => Promise.resolve() },
    }),
  });
}
