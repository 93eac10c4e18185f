import assert from "node:assert/strict";
import { copyColumns, copyHeader } from "../copy-format.ts";
import { comparable, type Row, sortedByName } from "./row.ts";

const postgresEpochMicros = 946_684_800_000_000n;

/** Reads the bytes of a binary COPY back, strictly. */
export function readCopy(bytes: Buffer): Row[] {
  assert.deepEqual(bytes.subarray(0, copyHeader.length), copyHeader);
  let position = copyHeader.length;
  const rows: Row[] = [];
  const column = (): Buffer | null => {
    const length = bytes.readInt32BE(position);
    position += 4;
    if (length === -1) return null;
    assert.ok(length >= 0 && position + length <= bytes.length);
    position += length;
    return bytes.subarray(position - length, position);
  };
  for (;;) {
    const columnCount = bytes.readInt16BE(position);
    position += 2;
    if (columnCount === -1) break;
    assert.equal(columnCount, copyColumns.length);
    const [batchId, firstIndex] = [column(), column()];
    assert.deepEqual([batchId?.length, firstIndex?.length], [8, 4]);
    const arrays = copyColumns.slice(2).map((name) => readArray(column(), elementTypes[name]!));
    const [times, severities, loggers, messages] = arrays;
    assert.ok(times && severities && loggers && messages);
    const first = firstIndex!.readInt32BE();
    for (const place of times.keys()) {
      const [time, severity, logger, message, attributes, index, ...rare] = arrays.map((elements) => {
        assert.ok(elements === null || elements.length === times.length);
        return elements?.[place] ?? null;
      });
      const [traceId, spanId, eventName, severityText, uptime, observed, flags] = rare;
      rows.push({
        batchId: String(batchId!.readBigInt64BE()),
        idx: index ? index.readInt32BE() : first + place,
        timeMicros: String(time!.readBigInt64BE() + postgresEpochMicros),
        severity: severity!.readInt16BE(),
        logger: logger!.toString(),
        message: message!.toString(),
        attributes: attributes ? readJson(attributes.toString()) : null,
        traceId: traceId?.toString("hex") ?? null,
        spanId: spanId?.toString("hex") ?? null,
        eventName: eventName?.toString() ?? null,
        severityText: severityText?.toString() ?? null,
        uptime: uptime ? String(uptime.readBigInt64BE()) : null,
        observedMicros: observed ? String(observed.readBigInt64BE() + postgresEpochMicros) : null,
        flags: flags?.readInt16BE() ?? null,
      });
    }
  }
  assert.equal(position, bytes.length);
  return rows;
}

/** In pg_type: int2, int4, int8, text, bytea, timestamptz. */
const elementTypes: Readonly<Record<string, number>> = {
  times: 1184,
  severities: 21,
  loggers: 25,
  messages: 25,
  attributes: 25,
  indexes: 23,
  trace_ids: 17,
  span_ids: 17,
  event_names: 25,
  severity_texts: 25,
  uptimes: 20,
  observed_times: 1184,
  flags: 21,
};

/** An array: dimensions, whether an element is NULL, their type, the length, the first subscript, and the elements. */
function readArray(bytes: Buffer | null, type: number): (Buffer | null)[] | null {
  if (bytes === null) return null;
  const [dimensions, hasNull, elementType, length, firstSubscript] = Array.from({ length: 5 }, (_, word) =>
    bytes.readInt32BE(4 * word),
  );
  assert.deepEqual([dimensions, elementType, firstSubscript], [1, type, 1]);
  let position = 20;
  const elements = Array.from({ length: length! }, () => {
    const size = bytes.readInt32BE(position);
    position += 4 + Math.max(size, 0);
    return size === -1 ? null : bytes.subarray(position - size, position);
  });
  assert.equal(position, bytes.length);
  assert.equal(hasNull, elements.includes(null) ? 1 : 0);
  assert.ok(
    elements.some((element) => element !== null),
    "an array without an element is NULL",
  );
  return elements;
}

/**
 * The names and values are parsed one by one: V8 13.6's JSON.parse takes a name that begins with an escape for "\\"
 * once it has met an object with a name "\\" (https://github.com/nodejs/node/issues/63785).
 */
function readJson(json: string): [string, string][] {
  assert.equal(typeof JSON.parse(json), "object");
  const scalars = json.match(/"(?:[^"\\]|\\.)*"|[^{}:,]+/g)!;
  const attributes = new Map<string, string>();
  for (let at = 0; at < scalars.length; at += 2) {
    attributes.set(JSON.parse(scalars[at]!) as string, comparable(scalars[at + 1]!));
  }
  return sortedByName(attributes);
}
