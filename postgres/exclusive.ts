import { sql } from "kysely";
import type { Pool } from "pg";
import { type Session, withSession } from "./session.ts";

/**
 * Runs `work` on a connection of its own, unless another connection to this database runs work of the same name: then
 * returns undefined at once. When the process dies, PostgreSQL finishes the statement in flight and only then lets the
 * next one begin.
 */
export function exclusively<T>(
  pool: Pool,
  name: string,
  work: (session: Session) => Promise<T>,
): Promise<T | undefined> {
  return withSession(pool, async (session) => {
    const { rows } = await sql<{ is_ours: boolean }>`
      select pg_try_advisory_lock(hashtextextended(${`fleetlog ${name}`}, 0)) as is_ours`.execute(session.db);
    if (!rows[0]?.is_ours) return undefined;
    const result = await work(session);
    // After a throw the connection is closed, and its locks with it.
    await sql`select pg_advisory_unlock(hashtextextended(${`fleetlog ${name}`}, 0))`.execute(session.db);
    return result;
  });
}
