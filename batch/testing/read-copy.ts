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
    const [batchId, idx, time, severity, logger, message, attributes, extra] = copyColumns.map(column);
    const [traceId, spanId, eventName, severityText, uptime, observed, flags] = readExtra(extra ?? null);
    assert.deepEqual([batchId?.length, idx?.length, time?.length, severity?.length], [8, 4, 8, 2]);
    rows.push({
      batchId: String(batchId!.readBigInt64BE()),
      idx: idx!.readInt32BE(),
      timeMicros: String(time!.readBigInt64BE() + postgresEpochMicros),
      severity: severity!.readInt16BE(),
      logger: logger!.toString(),
      message: message!.toString(),
      attributes: attributes ? readJsonb(attributes) : null,
      traceId: traceId?.toString("hex") ?? null,
      spanId: spanId?.toString("hex") ?? null,
      eventName: eventName?.toString() ?? null,
      severityText: severityText?.toString() ?? null,
      uptime: uptime ? String(uptime.readBigInt64BE()) : null,
      observedMicros: observed ? String(observed.readBigInt64BE() + postgresEpochMicros) : null,
      flags: flags?.readInt16BE() ?? null,
    });
  }
  assert.equal(position, bytes.length);
  return rows;
}

/** In pg_type: bytea, bytea, text, text, int8, timestamptz, int2. */
const extraTypes = [17, 17, 25, 25, 20, 1184, 21];

/** A composite value: how many attributes, and of each its type, a length and the bytes. */
function readExtra(bytes: Buffer | null): (Buffer | null)[] {
  if (bytes === null) return [];
  assert.equal(bytes.readInt32BE(), extraTypes.length);
  let position = 4;
  const values = extraTypes.map((type) => {
    assert.equal(bytes.readInt32BE(position), type);
    const length = bytes.readInt32BE(position + 4);
    position += 8 + Math.max(length, 0);
    return length === -1 ? null : bytes.subarray(position - length, position);
  });
  assert.equal(position, bytes.length);
  assert.ok(
    values.some((value) => value !== null),
    "nothing in it is NULL",
  );
  return values;
}

/**
 * The names and values are parsed one by one: V8 13.6's JSON.parse takes a name that begins with an escape for "\\"
 * once it has met an object with a name "\\" (https://github.com/nodejs/node/issues/63785).
 */
function readJsonb(bytes: Buffer): [string, string][] {
  assert.equal(bytes[0], 1);
  const json = bytes.toString("utf8", 1);
  assert.equal(typeof JSON.parse(json), "object");
  const scalars = json.match(/"(?:[^"\\]|\\.)*"|[^{}:,]+/g)!;
  const attributes = new Map<string, string>();
  for (let at = 0; at < scalars.length; at += 2) {
    attributes.set(JSON.parse(scalars[at]!) as string, comparable(scalars[at + 1]!));
  }
  return sortedByName(attributes);
}
