import type { JsonObject } from "@bufbuild/protobuf";
import type { Pool } from "pg";
import { storeRecords } from "#postgres/testing/store-records.ts";

/** A batch to insert into the tables as the consumer would. */
export interface SeedBatch {
  readonly deviceId: string;
  readonly sessionId?: string;
  readonly sequence?: number;
  /** Microseconds since 1970. */
  readonly receivedMicros: bigint;
  readonly attributes?: JsonObject | undefined;
  readonly records: readonly SeedRecord[];
}

export interface SeedRecord {
  readonly timeMicros: bigint;
  readonly severity?: number;
  readonly logger?: string;
  readonly message?: string;
  readonly attributes?: JsonObject;
  /** In hex. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly eventName?: string;
}

let sequence = 0;

const storedRecords = storeRecords(
  `select id, record.ordinality - 1, ${micros("(record.value ->> 'time')::int8")},
    (record.value ->> 'severity')::int2, record.value ->> 'logger', record.value ->> 'message',
    record.value ->> 'attributes', decode(record.value ->> 'traceId', 'hex'),
    decode(record.value ->> 'spanId', 'hex'), record.value ->> 'eventName'
  from batch, jsonb_array_elements($9::jsonb) with ordinality as record`,
  ["attributes", "trace_id", "span_id", "event_name"],
);

/** Inserts the batches, each in a transaction of its own unless it is one statement anyway. */
export async function seed(pool: Pool, batches: readonly SeedBatch[]): Promise<void> {
  for (const batch of batches) {
    const times = batch.records.map((record) => record.timeMicros);
    sequence += 1;
    await pool.query(
      `with device as (
        insert into devices (device_id, first_seen, last_seen, batch_count, record_count, error_count,
          clock_offset_micros)
        values ($1, ${micros("$4::int8")}, ${micros("$4::int8")}, 1, $8, $10, $6::int8 - $4::int8)
        on conflict (device_id) do update set
          last_seen = excluded.last_seen,
          clock_offset_micros = excluded.clock_offset_micros,
          batch_count = devices.batch_count + 1,
          record_count = devices.record_count + $8,
          error_count = devices.error_count + $10
        returning key
      ), batch as (
        insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
          rejected_count, severities, bytes, session_id, digest, attributes)
        select next_batch_id(${micros("$4::int8")}), ${micros("$4::int8")}, ${micros("$5::int8")},
          ${micros("$6::int8")}, $3, key, $8, 0, $7, 0, $2, sha256(convert_to($9::text, 'UTF8')), $11::jsonb
        from device
        returning id
      ), of_session as (
        insert into sessions as stored
          (device_key, session_id, received, dropped, first_received_at, last_received_at, batch_count, record_count)
        select key, $2, case when $2 like '~%' then '{}' else int8multirange(int8range($3, $3, '[]')) end, '{}',
          ${micros("$4::int8")}, ${micros("$4::int8")}, 1, $8
        from device
        on conflict (device_key, session_id) do update set
          received = stored.received + excluded.received,
          first_received_at = least(stored.first_received_at, excluded.first_received_at),
          last_received_at = greatest(stored.last_received_at, excluded.last_received_at),
          batch_count = stored.batch_count + 1,
          record_count = stored.record_count + excluded.record_count
      ), of_device as (
        insert into device_statistics as stored
          (hour, device_key, batch_count, record_count, error_count, dead_letter_count, bytes)
        select date_trunc('hour', ${micros("$4::int8")}, 'UTC'), key, 1, $8, $10, 0, 0 from device
        on conflict (device_key, hour) do update set
          batch_count = stored.batch_count + 1,
          record_count = stored.record_count + excluded.record_count,
          error_count = stored.error_count + excluded.error_count
      ), of_fleet as (
        insert into log_statistics as stored (minute, severity, record_count)
        select date_bin('1 minute', ${micros("(record ->> 'time')::int8")}, timestamptz 'epoch'),
          (record ->> 'severity')::int2, count(*)
        from jsonb_array_elements($9::jsonb) as record group by 1, 2
        on conflict (minute, severity) do update set record_count = stored.record_count + excluded.record_count
      )
      ${storedRecords}`,
      [
        batch.deviceId,
        batch.sessionId ?? "s1",
        batch.sequence ?? sequence,
        String(batch.receivedMicros),
        String(times.reduce((least, time) => (time < least ? time : least))),
        String(times.reduce((most, time) => (time > most ? time : most))),
        batch.records.reduce((bits, record) => bits | (1 << (record.severity ?? 0)), 0),
        batch.records.length,
        JSON.stringify(
          batch.records.map((record) => ({
            time: String(record.timeMicros),
            severity: record.severity ?? 0,
            logger: record.logger ?? "",
            message: record.message ?? "",
            attributes: record.attributes ?? null,
            traceId: record.traceId || null,
            spanId: record.spanId || null,
            eventName: record.eventName || null,
          })),
        ),
        batch.records.filter(({ severity = 0 }) => severity >= 17).length,
        batch.attributes === undefined ? null : JSON.stringify(batch.attributes),
      ],
    );
  }
}

/** A declaration that batches were dropped. */
export interface SeedDrop {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly first: number | string;
  readonly last: number | string;
  readonly reason: string;
}

/**
 * Stores a declaration as the consumer does: a batch without records, and a row in drops. The device must have
 * sent before.
 */
export async function seedDrop(
  pool: Pool,
  { deviceId, sessionId, first, last, reason }: SeedDrop,
): Promise<void> {
  await pool.query(
    `with batch as (
      insert into batches (id, received_at, first_time, last_time, sequence, device_key, record_count,
        rejected_count, severities, bytes, session_id, digest)
      select next_batch_id(received_at), received_at, received_at, received_at, $3::int8, device_key, 0, 0, 0, 0,
        $2, sha256(convert_to($3::text, 'UTF8'))
      from batches join devices on devices.key = device_key where device_id = $1 limit 1
      returning *
    ),
    of_session as (
      update sessions set batch_count = batch_count + 1,
        dropped = dropped + int8multirange(int8range($3::int8, least($4::int8, 9223372036854775806), '[]'))
      from batch where sessions.device_key = batch.device_key and sessions.session_id = batch.session_id
    )
    insert into drops select id, device_key, session_id, sequence, $4::int8, $5, received_at from batch`,
    [deviceId, sessionId, String(first), String(last), reason],
  );
}

function micros(expression: string): string {
  return `time_from_micros(${expression})`;
}
