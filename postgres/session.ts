import { Kysely, PostgresDialect } from "kysely";
import type { Pool, PoolClient } from "pg";
import type { Database } from "./tables.ts";

/** One connection, held for a while: what runs through `db` and what runs on `client` is one conversation. */
export interface Session {
  /** Typed queries. A transaction begun here is the transaction of the connection. */
  readonly db: Kysely<Database>;
  /** For what Kysely cannot say: COPY. */
  readonly client: PoolClient;
}

/**
 * Runs `work` on one connection of the pool. After a throw the connection is closed rather than given back:
 * its state is unknown.
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

/** To Kysely the connection is a pool of one that is always free. */
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
