import type { Client } from "pg";

/**
 * What is kept beside the records has to agree with them: each query returns the rows that do not, with a `subject` and
 * what was `kept` and what is `true`. `$1` is a LIKE pattern of device ids; `log_statistics` has no devices and is compared whole.
 */
const disagreements: Readonly<Record<string, string>> = {
  log_statistics: `
    select concat_ws(' ', minute, severity) as subject, kept.record_count as kept, counted.n as "true"
      from log_statistics as kept
      full join (select date_trunc('minute', time, 'UTC') as minute, severity, count(*) as n
                   from records group by 1, 2) as counted using (minute, severity)
     where kept.record_count is distinct from counted.n and (counted.n is not null or kept.record_count <> 0)
       and $1::text is not null`,
  batches: `
    select concat_ws(' ', device_id, session_id, sequence) as subject,
           concat_ws(' ', batches.record_count, severities, first_time, last_time) as kept,
           concat_ws(' ', coalesce(n, 0), coalesce(mask, 0), coalesce(first, received_at), coalesce(last, received_at)) as "true"
      from batches join devices on devices.key = device_key
      left join (select batch_id, count(*)::int as n, bit_or(1 << severity) as mask, min(time) as first, max(time) as last
                   from records group by 1) as counted on batch_id = batches.id
     where device_id like $1
       and (batches.record_count, severities, first_time, last_time)
           is distinct from (coalesce(n, 0), coalesce(mask, 0), coalesce(first, received_at), coalesce(last, received_at))`,
  record_batches: `
    select concat_ws(' ', batch_id, first_index) as subject, 'arrays of ' || lengths as kept,
           'all of one length, of a batch in the ledger' as "true"
      from (select batch_id, first_index, (
              select string_agg(length::text, ', ') from unnest(array[
                cardinality(times), cardinality(severities), cardinality(loggers), cardinality(messages),
                cardinality(attributes), cardinality(indexes), cardinality(trace_ids), cardinality(span_ids),
                cardinality(event_names), cardinality(severity_texts), cardinality(uptimes),
                cardinality(observed_times), cardinality(flags)]) as length
              having count(distinct length) > 1) as lengths
            from record_batches) as measured
      left join batches on batches.id = batch_id left join devices on devices.key = device_key
     where device_id is null or device_id like $1 and lengths is not null`,
  search_summaries: `
    select concat_ws(' ', device_id, session_id, sequence) as subject, 'in no summary' as kept, 'in one' as "true"
      from batches join devices on devices.key = device_key
     where device_id like $1 and exists (select from record_batches where batch_id = batches.id)
       and not coalesce(batches.id <@ (
         select range_agg(int8range(first_id, last_id, '[]')) from search_summaries where slice = 0), false)`,
  "record_batches, indexes": `
    select concat_ws(' ', device_id, session_id, sequence, idx) as subject, count(*) || ' times' as kept, 'once' as "true"
      from records join batches on batches.id = batch_id join devices on devices.key = device_key
     where device_id like $1
     group by device_id, session_id, sequence, digest, idx having count(*) > 1`,
  devices: `
    select device_id as subject,
           concat_ws(' ', batch_count, record_count, error_count, dead_letter_count, first_seen, last_seen) as kept,
           concat_ws(' ', batches, records, errors, rejected, first, last) as "true"
      from devices join (
        select device_key, count(*) as batches, sum(record_count) as records, sum(rejected_count) as rejected,
               min(received_at) as first, max(received_at) as last,
               coalesce(sum((select count(*) from records where batch_id = batches.id and severity >= 17)), 0) as errors
          from batches group by 1) as counted on device_key = key
     where device_id like $1
       and (batch_count, record_count, error_count, dead_letter_count, first_seen, last_seen)
           is distinct from (batches, records, errors, rejected, first, last)`,
  device_statistics: `
    select concat_ws(' ', device_id, hour) as subject,
           concat_ws(' ', kept.batch_count, kept.record_count, kept.error_count, kept.dead_letter_count, kept.bytes) as kept,
           concat_ws(' ', counted.batches, records, errors, rejected, counted.bytes) as "true"
      from device_statistics as kept
      full join (
        select device_key, date_trunc('hour', received_at, 'UTC') as hour, count(*) as batches,
               sum(record_count) as records, sum(rejected_count) as rejected, sum(bytes) as bytes,
               coalesce(sum((select count(*) from records where batch_id = batches.id and severity >= 17)), 0) as errors
          from batches group by 1, 2) as counted using (device_key, hour)
      join devices on devices.key = device_key
     where device_id like $1
       and (kept.batch_count, kept.record_count, kept.error_count, kept.dead_letter_count, kept.bytes)
           is distinct from (counted.batches, records, errors, rejected, counted.bytes)`,
  sessions: `
    select concat_ws(' ', device_id, session_id) as subject,
           concat_ws(' ', sessions.received, sessions.dropped) as kept,
           concat_ws(' ', settled, coalesce(declared, '{}')) as "true"
      from sessions
      full join (
        select device_key, session_id, range_agg(int8range(sequence, sequence, '[]')) as settled
          from (select device_key, session_id, sequence from batches
                union all
                select key, session_id, sequence from dead_letters join devices using (device_id)
                 where idx is null and entry is not null and sequence is not null) as stored
         where session_id not like '~%' group by 1, 2) as stored using (device_key, session_id)
      left join (
        select device_key, session_id, range_agg(int8range(first_sequence, last_sequence, '[]')) as declared
          from drops group by 1, 2) as dropped using (device_key, session_id)
      join devices on devices.key = device_key
     where device_id like $1
       and (sessions.received, sessions.dropped) is distinct from (settled, coalesce(declared, '{}'))`,
  "dead_letters of records": `
    select device_id as subject, 'letters of ' || coalesce(kept, 0) || ' records' as kept,
           'rejected ' || coalesce(rejected, 0) as "true"
      from (select device_id, sum(record_count) as kept from dead_letters
             where idx is not null or entry is null group by 1) as letters
      full join (select device_id, sum(rejected_count) as rejected
                   from batches join devices on key = device_key group by 1) as counted using (device_id)
     where device_id like $1 and coalesce(kept, 0) <> coalesce(rejected, 0)`,
};

const namedMax = 3;

/** What is kept beside the records of these devices and contradicts them, in words; empty when all of it agrees. */
export async function findDisagreements(client: Client, devicePattern: string): Promise<readonly string[]> {
  const found: string[] = [];
  for (const [name, query] of Object.entries(disagreements)) {
    const { rows } = await client.query<{ subject: string; kept: string | null; true: string | null }>(
      query,
      [devicePattern],
    );
    if (rows.length === 0) continue;
    const some = rows
      .slice(0, namedMax)
      .map(({ subject, kept, true: truth }) => `${subject} is ${kept}, should be ${truth}`);
    found.push(`${name}, ${rows.length} wrong: ${some.join("; ")}`);
  }
  return found;
}
