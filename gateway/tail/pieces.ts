import type { JsonObject } from "@bufbuild/protobuf";
import type { LogEntry } from "#proto/gen/fleetlog/v1/query_pb.ts";

/**
 * Splits the records of a message where it would exceed about 4 MiB. The bytes of a batch bound its records, but not
 * its attributes, which each record repeats: half a megabyte for each of 10,000.
 */
export function* inPieces(logs: readonly LogEntry[]): Generator<readonly LogEntry[], void> {
  let start = 0;
  let bytes = 0;
  for (const [index, log] of logs.entries()) {
    bytes += logBytes(log);
    if (bytes < pieceBytesMax || index === start) continue;
    yield logs.slice(start, index);
    start = index;
    bytes = logBytes(log);
  }
  if (start < logs.length) yield start === 0 ? logs : logs.slice(start);
}

function logBytes({ message, attributes = {} }: LogEntry): number {
  return fieldBytes + message.length + attributesBytes(attributes);
}

/** Records without attributes of their own share those of their batch. */
const measured = new WeakMap<JsonObject, number>();

function attributesBytes(attributes: JsonObject): number {
  let bytes = measured.get(attributes);
  if (bytes === undefined) {
    bytes = 0;
    for (const [name, value] of Object.entries(attributes))
      bytes += name.length + (typeof value === "string" ? value.length : scalarBytes);
    measured.set(attributes, bytes);
  }
  return bytes;
}

const pieceBytesMax = 4 * 1024 * 1024;
/** Of a record in JSON, without message and attributes. */
const fieldBytes = 300;
const scalarBytes = 10;
