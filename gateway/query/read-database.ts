import { CompiledQuery, Kysely, type LogEvent, PostgresDialect } from "kysely";
import type { ClientBase, PoolClient } from "pg";
import { readBinaryRows, type Statement } from "#postgres/binary-rows.ts";
import type { Database } from "#postgres/tables.ts";

export interface ReadDatabaseOptions {
  /** Receives every statement. */
  readonly log?: ((event: LogEvent) => void) | undefined;
  /** Ends the connection on `destroy()`. Default: its owner does. */
  readonly end?: () => Promise<void>;
}

/** Kysely over one connection, and rows in binary. */
export class ReadDatabase extends Kysely<Database> {
  readonly #client: ClientBase;
  readonly #log: ReadDatabaseOptions["log"];

  constructor(client: ClientBase, { log, end = async () => {} }: ReadDatabaseOptions = {}) {
    const lent = { query: client.query.bind(client), release() {} } as unknown as PoolClient;
    const pool = { connect: async () => lent, end, options: {} };
    super({ dialect: new PostgresDialect({ pool }), ...(log && { log }) });
    this.#client = client;
    this.#log = log;
  }

  /** See {@link readBinaryRows}. */
  async readRows(statement: Statement, onRow: (row: Buffer) => void): Promise<void> {
    const startMs = performance.now();
    const end = () => ({
      query: CompiledQuery.raw(statement.text, [...statement.values]),
      queryDurationMillis: performance.now() - startMs,
    });
    try {
      await readBinaryRows(this.#client, statement, onRow);
      this.#log?.({ level: "query", ...end() });
    } catch (error) {
      this.#log?.({ level: "error", error, ...end() });
      throw error;
    }
  }
}
