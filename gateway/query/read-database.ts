import { CompiledQuery, Kysely, type LogEvent, PostgresDialect, type RawBuilder } from "kysely";
import type { ClientBase, PoolClient } from "pg";
import { readBinaryRows } from "#postgres/binary-rows.ts";
import { nameStatement } from "#postgres/statement-names.ts";
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
  readonly #end: () => Promise<void>;

  constructor(client: ClientBase, { log, end = async () => {} }: ReadDatabaseOptions = {}) {
    const lent = { query: client.query.bind(client), release() {} } as unknown as PoolClient;
    const pool = { connect: async () => lent, end: async () => {}, options: {} };
    super({ dialect: new PostgresDialect({ pool }), ...(log && { log }) });
    this.#client = client;
    this.#log = log;
    this.#end = end;
  }

  /** Kysely ends nothing of which it has used nothing. */
  override async destroy(): Promise<void> {
    await super.destroy();
    await this.#end();
  }

  /** See {@link readBinaryRows}. Its text is prepared. */
  async readRows(text: string, values: readonly string[], onRow: (row: Buffer) => void): Promise<void> {
    const statement = { name: nameStatement(text), text, values };
    await this.#run(CompiledQuery.raw(text, [...values]), () =>
      readBinaryRows(this.#client, statement, onRow),
    );
  }

  /** The rows of a statement whose text is prepared: it should be one of few. */
  async prepared<Row extends object>(statement: RawBuilder<Row>): Promise<Row[]> {
    const query = statement.compile(this);
    const { sql: text, parameters } = query;
    return await this.#run(query, async () => {
      const { rows } = await this.#client.query<Row>({
        name: nameStatement(text),
        text,
        values: [...parameters],
      });
      return rows;
    });
  }

  async #run<T>(query: CompiledQuery, run: () => Promise<T>): Promise<T> {
    const startMs = performance.now();
    try {
      const result = await run();
      this.#log?.({ level: "query", query, queryDurationMillis: performance.now() - startMs });
      return result;
    } catch (error) {
      this.#log?.({ level: "error", error, query, queryDurationMillis: performance.now() - startMs });
      throw error;
    }
  }
}
