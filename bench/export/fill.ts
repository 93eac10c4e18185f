import { Client } from "pg";

/**
 * `records` records in batches of 100 of 500 devices, some 120 bytes of text each, made by PostgreSQL itself: what the
 * consumer would have stored, but for the statistics.
 */
export async function fill(databaseUrl: string, records: number): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query(`
      insert into devices (device_id, first_seen, last_seen)
      select 'device-' || n, now(), now() from generate_series(1, 500) n`);
    await client.query(
      `insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
         rejected_count, severities, bytes, session_id, digest)
       select next_batch_id(at), at, at - interval '5 s', at, n, n % 500 + 1, 100, 0, 512, 0, 'boot', ''
       from generate_series(1, $1::int) n, lateral (select timestamptz '2026-03-01' + n * interval '10 ms' as at)`,
      [Math.ceil(records / 100)],
    );
    await client.query(`
      insert into records (batch_id, idx, time, severity, logger, message, attributes)
      select id, n, first_time + n * interval '50 ms', 9, 'sensor.climate',
        format('reading %s of sensor %s: %s, the fan turns at %s per minute and nothing else is to be told', n, sequence,
          md5(id::text || n), 900 + n),
        jsonb_build_object('line', n, 'unit', 'rack-' || device_key)
      from batches, generate_series(0, 99) n`);
    await client.query("vacuum (analyze) batches, records, devices");
  } finally {
    await client.end();
  }
}
