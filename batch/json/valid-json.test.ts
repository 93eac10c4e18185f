import assert from "node:assert/strict";
import { test } from "node:test";
import { fromBinary, fromJson, type JsonValue, toBinary, toJson } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { digest } from "../digest.ts";
import { scan } from "../scan.ts";
import { anyBatch, toMessage } from "../testing/arbitrary-batch.ts";
import { readJsonRequest } from "./json-request.ts";

// Against protobuf-es, which reads JSON its own way.

const batches = anyBatch.map(toMessage);

/** Writes JSON as any library might: spaces, escapes, keys in any order and with unknown ones between. */
function write(value: JsonValue, choose: (below: number) => number): string {
  const space = () => ["", "", "", " ", "\n\t"][choose(5)]!;
  const join = (parts: string[]) => parts.map((part) => `${space()}${part}${space()}`).join(",");
  if (Array.isArray(value)) return `[${join(value.map((item) => write(item, choose)))}]`;
  if (typeof value === "string") return writeText(value, choose);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.entries(value).map(
    ([key, item]) => `${writeText(key, choose)}${space()}:${space()}${write(item, choose)}`,
  );
  for (let at = members.length - 1; at > 0; at--) {
    const other = choose(at + 1);
    [members[at], members[other]] = [members[other]!, members[at]!];
  }
  return `{${join(members)}}`;
}

function writeText(value: string, choose: (below: number) => number): string {
  const style = choose(3);
  const json = JSON.stringify(value);
  if (style === 0) return json;
  const escaped = style === 1 ? /[^ -~]/g : /[^"\\]/g;
  if (style === 2 && json.includes("\\")) return json;
  const inner = json
    .slice(1, -1)
    .replaceAll(escaped, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
  return `"${inner}"`;
}

const choices = fc.array(fc.nat(1_000_000), { minLength: 1, maxLength: 50 });

function chooser(numbers: readonly number[]) {
  let at = 0;
  return (below: number) => (numbers[at++ % numbers.length]! + at * 7919) % below;
}

test("valid JSON, however it is written, means what protobuf-es reads in it", () => {
  fc.assert(
    fc.property(
      batches,
      fc.boolean(),
      fc.boolean(),
      choices,
      (batch, useProtoFieldName, enumAsInteger, numbers) => {
        const json = toJson(LogBatchSchema, batch, { useProtoFieldName, enumAsInteger });
        const written = `{"batch":${write(json, chooser(numbers))}}`;
        const read = readJsonRequest(Buffer.from(written));
        assert.equal(read.error, undefined, written);
        const theirs = fromJson(LogBatchSchema, (JSON.parse(written) as { batch: JsonValue }).batch);
        assert.deepEqual(fromBinary(LogBatchSchema, new Uint8Array(read.batch!)), theirs, written);
        assert.deepEqual(digest(scan(read.batch!)), digest(scan(toBinary(LogBatchSchema, batch))), written);
        assert.equal(read.sequence, batch.sequence);
      },
    ),
    { numRuns: 500 },
  );
});

test("whatever stands in the place of a record, its neighbours are what they were", () => {
  fc.assert(
    fc.property(batches, fc.json({ maxDepth: 6 }), fc.nat(8), (batch, stranger, place) => {
      fc.pre(batch.records.length > 0);
      const json = toJson(LogBatchSchema, batch) as { records: JsonValue[] };
      const records = json.records.map((record) => JSON.stringify(record));
      const at = Math.min(place, records.length);
      records.splice(at, 0, stranger);
      const { batch: encoded, error } = readJsonRequest(
        Buffer.from(
          `{"batch":${JSON.stringify({ ...json, records: [] }).replace("[]", () => `[${records.join()}]`)}}`,
        ),
      );
      assert.equal(error, undefined, stranger);
      const scanned = scan(encoded!);
      assert(
        scanned.rejections.every(({ index }) => index === at),
        stranger,
      );
      const read = fromBinary(LogBatchSchema, encoded!);
      read.records.splice(at, 1);
      assert.equal(
        Buffer.compare(toBinary(LogBatchSchema, read), toBinary(LogBatchSchema, batch)),
        0,
        stranger,
      );
    }),
    { numRuns: 500 },
  );
});

test("bytes changed anywhere end in an error or in a batch, and leave nothing behind", () => {
  const good = `{"batch":{"deviceId":"a","records":[{"message":"m \\u00e4\\ud83d\\ude00","severity":"WARN","attributes":{"a":1,"b":[]}}],"attributes":[{"key":"k","intValue":"-7"}],"device":{"site":"s"}}}`;
  const before = readJsonRequest(Buffer.from(good)).batch;
  fc.assert(
    fc.property(fc.nat(good.length), fc.nat(5), fc.uint8Array({ maxLength: 4 }), (at, removed, bytes) => {
      const start = Buffer.from(good.slice(0, at));
      const changed = Buffer.concat([start, bytes, Buffer.from(good.slice(at + removed))]);
      const { batch, error } = readJsonRequest(changed);
      if (error === undefined && batch !== undefined) JSON.parse(changed.toString("latin1"));
      assert.deepEqual(readJsonRequest(Buffer.from(good)).batch, before);
    }),
    { numRuns: 3_000 },
  );
});
