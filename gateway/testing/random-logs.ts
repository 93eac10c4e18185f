import type { JsonValue } from "@bufbuild/protobuf";
import type { Pool } from "pg";
import { everything, type LogFilter, severityNumbers } from "../logs/log-filter.ts";
import { type LogOrder, type LogPosition, newestFirst } from "../logs/log-order.ts";
import type { SeedBatch } from "./seed.ts";

/*
 * Random logs, random filters, and the results of one statement that reads everything.
 */

const second = 1_000_000n;

const below = (random: () => number) => (limit: number) => Math.floor(random() * limit);

/** Mostly short batches; some cover an hour or a year, some lie in 1970 or 2100; many equal times. */
export function randomBatches(
  random: () => number,
  count: number,
  { startMicros, spanSeconds = 2000 }: { startMicros: bigint; spanSeconds?: number },
): SeedBatch[] {
  const upTo = below(random);
  return Array.from({ length: count }, () => {
    const begin = startMicros + BigInt(upTo(spanSeconds)) * second;
    const shape = random();
    const lengthSeconds = shape < 0.05 ? 31_000_000 : shape < 0.1 ? 3600 : shape < 0.6 ? 2 : 60;
    const shift = shape > 0.98 ? -startMicros : shape > 0.96 ? 4_000_000_000n * second : 0n;
    return {
      deviceId: `device-${upTo(5)}`,
      sessionId: `s${upTo(2)}`,
      receivedMicros: begin,
      ...(random() < 0.3 && {
        attributes: { unit: units[upTo(4)] as JsonValue, firmware: random() < 0.5 ? "2.1" : 2.1 },
      }),
      records: Array.from({ length: 1 + upTo(random() < 0.1 ? 60 : 12) }, () => ({
        timeMicros: begin + shift + BigInt(upTo(lengthSeconds * 4)) * (second / 4n),
        severity: upTo(25),
        logger: ["net", "net.wifi", "disk", ""][upTo(4)] as string,
        ...(random() < 0.5 && {
          attributes: { unit: units[upTo(4)] as JsonValue, ...(random() < 0.5 && { "a=b": "\\" }) },
        }),
        ...(random() < 0.5 && { traceId: traces[upTo(2)] as string }),
        message: ["Disk full", "100% of disk_a", "100 of disk-a", "ÄRGER am c:\\temp", "ok"][
          upTo(5)
        ] as string,
      })),
    };
  });
}

const units: readonly JsonValue[] = ["u0", "u1", 7, true];

const traces = ["0af7651916cd43dd8448eb211c80319c", "ff".repeat(16)];

/** All kinds of conditions, alone and combined, also such that nothing matches. */
export function randomFilter(
  random: () => number,
  { startMicros: start, spanSeconds = 2000 }: { startMicros: bigint; spanSeconds?: number },
): LogFilter {
  const upTo = below(random);
  const startMicros = random() < 0.3 ? start + BigInt(upTo(spanSeconds)) * second : undefined;
  const endMicros = random() < 0.4 ? (startMicros ?? start) + BigInt(upTo(spanSeconds)) * second : undefined;
  const devices = Array.from({ length: random() < 0.5 ? 0 : 1 + upTo(3) }, () => `device-${upTo(6)}`);
  const some = <T>(share: number, ...values: readonly T[]) =>
    random() < share ? [values[upTo(values.length)] as T] : [];
  return {
    deviceIds: devices,
    excludedDeviceIds: some(0.2, "device-1", "unknown"),
    sessionId: devices.length === 1 && random() < 0.3 ? "s1" : undefined,
    severities: random() < 0.5 ? everything.severities : upTo(everything.severities),
    startMicros,
    endMicros,
    traceId: some(0.1, ...traces)[0],
    texts: [...some(0.3, "DISK", "100%", "k_a", "ärger", "c:\\t", "nothing"), ...some(0.2, "AM", "o")],
    excludedTexts: some(0.2, "full", "ÄR"),
    loggerPrefix: some(0.2, "net", "net.", "x")[0] ?? "",
    excludedLoggerPrefixes: some(0.2, "disk", "net.w"),
    attributes: [
      ...some(
        0.3,
        { name: "unit", value: undefined },
        { name: "a=b", value: "\\" },
        { name: "unit", value: "7.0" },
      ),
      ...some(0.1, { name: "firmware", value: "2.10" }, { name: "firmware", value: undefined }),
    ],
    excludedAttributes: some(
      0.2,
      { name: "unit", value: "u1" },
      { name: "a=b", value: undefined },
      { name: "unit", value: "true" },
    ),
  };
}

const contains = (text: string) =>
  `position(lower(${text} collate pg_c_utf8) in lower(message collate pg_c_utf8)) > 0`;

/** The positions of all matches, by one statement that sorts everything. */
export async function bruteForce(
  pool: Pool,
  filter: LogFilter,
  order: LogOrder = newestFirst,
): Promise<string[]> {
  const has = `exists (
    select from jsonb_each(coalesce(batches.attributes, '{}') || coalesce(records.attributes, '{}'))
    where key = wanted ->> 'name' and (wanted ->> 'value' is null or value = to_jsonb(wanted ->> 'value')
      or jsonb_typeof(value) <> 'string' and pg_input_is_valid(wanted ->> 'value', 'jsonb')
        and value = (wanted ->> 'value')::jsonb))`;
  const { direction } = order;
  const { rows } = await pool.query<{ place: string }>(
    `select format('%s %s %s', (extract(epoch from time) * 1e6)::int8, batch_id, idx) as place
     from records join batches on batches.id = batch_id join devices on devices.key = device_key
     where ($1::text[] = '{}' or device_id = any($1)) and device_id <> all($2) and severity = any($3)
       and ($4::text is null or session_id = $4)
       and ($5::int8 is null or extract(epoch from time) * 1000000 >= $5)
       and ($6::int8 is null or extract(epoch from time) * 1000000 < $6)
       and (select bool_and(${contains("text")}) from unnest($7::text[]) text) is not false
       and (select bool_or(${contains("text")}) from unnest($8::text[]) text) is not true
       and left(logger, length($9)) = $9
       and not exists (select from unnest($10::text[]) prefix where left(logger, length(prefix)) = prefix)
       and not exists (select from jsonb_array_elements($11) wanted where (${has}) is not true)
       and not exists (select from jsonb_array_elements($12) wanted where (${has}) is true)
       and ($13::text is null or trace_id = decode($13, 'hex'))
     order by time ${direction}, batch_id ${direction}, idx ${direction}`,
    [
      filter.deviceIds,
      filter.excludedDeviceIds,
      severityNumbers(filter.severities),
      filter.sessionId ?? null,
      filter.startMicros ?? null,
      filter.endMicros ?? null,
      filter.texts,
      filter.excludedTexts,
      filter.loggerPrefix,
      filter.excludedLoggerPrefixes,
      JSON.stringify(filter.attributes),
      JSON.stringify(filter.excludedAttributes),
      filter.traceId ?? null,
    ],
  );
  return rows.map((row) => row.place);
}

export function formatPosition({ timeMicros, batchId, index }: LogPosition): string {
  return `${timeMicros} ${batchId} ${index}`;
}

export function parsePosition(place: string): LogPosition {
  const [timeMicros = "", batchId = "", index = ""] = place.split(" ");
  return { timeMicros: BigInt(timeMicros), batchId: BigInt(batchId), index: Number(index) };
}

export function described(filter: LogFilter) {
  return { ...filter, startMicros: String(filter.startMicros), endMicros: String(filter.endMicros) };
}
