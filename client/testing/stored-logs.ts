import { Pool } from "pg";
import { waitFor } from "#test/support/wait-for.ts";

/** The records of one device in PostgreSQL, in the order in which they were sent. */
export interface StoredRecord {
  readonly message: string;
  readonly severity: number;
  readonly time: Date;
  readonly attributes: Readonly<Record<string, string>>;
}

/** Reads stored records; the consumer stores them shortly after the acknowledgement, so it waits for them. */
export class StoredLogs {
  readonly #pool: Pool;

  constructor(databaseUrl: string) {
    this.#pool = new Pool({ connectionString: databaseUrl, max: 2 });
    this.#pool.on("error", () => {}); // the database goes at the end of the test
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pool.end();
  }

  /** The records of the device once there are at least `count`, by session, sequence and index. */
  async toRecords(deviceId: string, count: number): Promise<readonly StoredRecord[]> {
    await waitFor(
      `${count} records of ${deviceId}`,
      async () => (await this.count(deviceId)) >= count,
      20_000,
    );
    const { rows } = await this.#pool.query<StoredRecord>(
      `select message, severity, time, attributes from logs where device_id = $1
       order by session_id, sequence, idx`,
      [deviceId],
    );
    return rows;
  }

  async count(deviceId: string): Promise<number> {
    const { rows } = await this.#pool.query<{ count: string }>(
      "select count(*) from logs where device_id = $1",
      [deviceId],
    );
    return Number(rows[0]?.count);
  }

  /** Why records of the device were refused, in order, once there are `count`. */
  async waitForRejectReasons(deviceId: string, count: number): Promise<readonly string[]> {
    return waitFor(`${count} dead letters of ${deviceId}`, async () => {
      const { rows } = await this.#pool.query<{ reason: string }>(
        "select reason from dead_letters where device_id = $1 order by sequence, idx",
        [deviceId],
      );
      return rows.length >= count && rows.map(({ reason }) => reason);
    });
  }
}
