import { Client } from "pg";
import type { BatchName, StoredRecords, StoredSession } from "#bench/stored/stored-records.ts";

/** Reads from the tables what devices whose names start with `prefix` have stored. */
export async function storedInPostgres(databaseUrl: string, prefix: string): Promise<StoredRecords> {
  const client = new Client({
    connectionString: databaseUrl,
    application_name: "fleetlog-bench",
    connectionTimeoutMillis: 5_000,
    statement_timeout: 600_000,
  });
  let lost: Error | undefined;
  client.on("error", (error) => (lost = error));
  await client.connect();
  const select = async <Row extends object>(sql: string, parameters: unknown[]): Promise<Row[]> => {
    if (lost) throw new Error(`the connection to PostgreSQL is lost: ${lost.message}`, { cause: lost });
    return (await client.query<Row>(sql, parameters)).rows;
  };
  return {
    from: "PostgreSQL, row by row",
    async count() {
      const [row] = await select<{ count: string }>(
        "select coalesce(sum(record_count), 0) as count from devices where starts_with(device_id, $1)",
        [prefix],
      );
      return Number(row?.count);
    },
    async sessions(uncertain) {
      const rows = await select<Record<keyof StoredSession, string>>(sessionsSql, [
        prefix,
        JSON.stringify(uncertain.map(toJson)),
      ]);
      return rows.map(({ deviceId, sessionId, rows, doubledRows, uncertainRows }) => ({
        deviceId,
        sessionId,
        rows: Number(rows),
        doubledRows: Number(doubledRows),
        uncertainRows: Number(uncertainRows),
      }));
    },
    [Symbol.asyncDispose]: () => client.end(),
  };
}

// A record is doubled when the same session, sequence and index has a second row, under whichever batch_id.
const sessionsSql = `
  with stored as (
    select device_id, session_id, sequence, idx,
      exists (
        select from jsonb_to_recordset($2) as uncertain (device_id text, session_id text, sequence bigint)
        where (uncertain.device_id, uncertain.session_id, uncertain.sequence)
          = (devices.device_id, batches.session_id, batches.sequence)
      ) as is_uncertain
    from devices
    join batches on batches.device_key = devices.key
    join records on records.batch_id = batches.id
    where starts_with(device_id, $1)
  )
  select
    device_id as "deviceId",
    session_id as "sessionId",
    count(*) filter (where not is_uncertain) as "rows",
    count(*) - count(distinct sequence * 10000 + idx) as "doubledRows",
    count(*) filter (where is_uncertain) as "uncertainRows"
  from stored
  group by device_id, session_id`;

function toJson({ deviceId, sessionId, sequence }: BatchName): object {
  return { device_id: deviceId, session_id: sessionId, sequence: sequence.toString() };
}
