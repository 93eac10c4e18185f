import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { after, before, test } from "node:test";
import { fromBinary } from "@bufbuild/protobuf";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { type AttributeValue, readAttributes } from "#proto/attributes.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { createDatabase, type TestDatabase } from "#test/support/postgres.ts";
import { copyBytesMax, copyStatement } from "./copy-format.ts";
import { CopyRows } from "./copy-rows.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { type ScannedBatch, scan } from "./scan.ts";
import { expectedTimes } from "./testing/expected-times.ts";
import { mutated } from "./testing/mutated.ts";
import { Random } from "./testing/random.ts";
import { randomBatch } from "./testing/random-batch.ts";
import { readCopy } from "./testing/read-copy.ts";
import { comparable, expectedRows, isEncodingError, type Row, sortedByName } from "./testing/row.ts";

// Whatever is accepted commits, and means to PostgreSQL what it means to protobuf-es.

const receivedAtMicros = 1_760_000_000_000_001;
const copyAtBytes = 4 * 1024 * 1024;
const bytesMax = copyBytesMax(copyAtBytes + limits.batchBytesMax, 2_000_000);

let database: TestDatabase;
let client: Client;

before(async () => {
  database = await createDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
});

after(async () => {
  await client?.end();
  await database?.[Symbol.asyncDispose]();
});

test("PostgreSQL holds what protobuf-es reads, for 3,000 random batches", async () => {
  const random = new Random(1);
  const rows = new CopyRows(bytesMax);
  const expected: Row[] = [];
  let rejectedCount = 0;
  for (let batchId = 1n; batchId <= 3_000n; batchId++) {
    const sent = randomBatch(random);
    const scanned = scan(sent.bytes);
    const batchRows = expectedRows(sent.records, batchId, receivedAtMicros);
    assert.equal(scanned.recordCount, sent.records.length);
    assert.deepEqual(
      scanned.rejections.map(({ index }) => index),
      missingIndexes(batchRows, sent.records.length),
    );
    if (scanned.rejections.length === 0) assertReadAlike(scanned);
    rows.append(scanned, batchId, { receivedAtMicros });
    expected.push(...batchRows);
    rejectedCount += scanned.rejections.length;
  }
  assertSameList(readCopy(rows.finish()), expected);
  const statistics = [...rows.statistics];
  await copyIntoPostgres(rows);
  assertSameList(await storedRows(), expected);
  assertSameList(await storedStatistics(), statistics);
  assert.ok(
    expected.length > 15_000 && rejectedCount > 500,
    `${expected.length} rows, ${rejectedCount} rejected`,
  );
});

test("100,000 mutated batches end in an InvalidBatchError or in rows that PostgreSQL takes", async () => {
  await client.query("TRUNCATE record_batches");
  const random = new Random(2);
  const batches = Array.from({ length: 300 }, () => randomBatch(random).bytes);
  const rows = new CopyRows(bytesMax);
  const one = new CopyRows(bytesMax);
  let acceptedBatches = 0;
  let acceptedRows = 0;
  for (let batchId = 1n; batchId <= 100_000n; batchId++) {
    const mutant = mutated(random, random.pick(batches), random.pick(batches));
    const scanned = scanOrRefuse(mutant);
    if (scanned === undefined) continue;
    acceptedBatches += 1;
    acceptedRows += scanned.acceptedCount;
    if (scanned.rejections.length === 0) assertRowsReadAlike(one, scanned);
    rows.append(scanned, batchId, { receivedAtMicros });
    if (rows.byteCount >= copyAtBytes) await copyIntoPostgres(rows);
  }
  await copyIntoPostgres(rows);
  // The texts of attributes are parsed by who reads them: none may fail.
  const { rows: counted } = await client.query(
    "SELECT count(*)::int AS count, count(attributes)::int AS with_attributes FROM records",
  );
  assert.equal(counted[0].count, acceptedRows);
  assert.ok(counted[0].with_attributes > 10_000);
  assert.ok(acceptedBatches > 15_000 && acceptedBatches < 80_000, `${acceptedBatches} accepted`);
});

/** One by one: the difference of two lists of this length would take minutes to print. */
function assertSameList(actual: readonly unknown[], expected: readonly unknown[]): void {
  for (const [place, row] of expected.entries()) assert.deepEqual(actual[place], row);
  assert.equal(actual.length, expected.length);
}

function missingIndexes(rows: readonly Row[], recordCount: number): number[] {
  const present = new Set(rows.map(({ idx }) => idx));
  return Array.from({ length: recordCount }, (_, index) => index).filter((index) => !present.has(index));
}

function scanOrRefuse(bytes: Buffer): ScannedBatch | undefined {
  try {
    return scan(bytes);
  } catch (error) {
    assert.ok(error instanceof InvalidBatchError, `${bytes.toString("hex")}: ${String(error)}`);
    return undefined;
  }
}

/** What scan takes, protobuf-es takes too, and sees the same sender and the same number of records in it. */
function assertReadAlike(scanned: ScannedBatch) {
  const read = decode(scanned.bytes);
  if (read === undefined) return undefined;
  assert.deepEqual(
    [scanned.deviceId, scanned.sessionId, scanned.sequence, scanned.recordCount],
    [read.deviceId, read.sessionId, read.sequence, read.records.length],
  );
  return read;
}

function assertRowsReadAlike(rows: CopyRows, scanned: ScannedBatch): void {
  const read = assertReadAlike(scanned);
  if (read === undefined) return;
  rows.clear();
  rows.append(scanned, 0n, { receivedAtMicros });
  const times = expectedTimes(read.records, receivedAtMicros);
  const expected = read.records.map((record, index) => [
    String(times[index]!.micros),
    record.severity,
    record.logger,
    record.message,
    sortedByName(
      Object.entries(readAttributes(record.attributes)).map(([key, value]) => [key, toJson(value)]),
    ),
  ]);
  const written = readCopy(rows.finish()).map((row) => [
    row.timeMicros,
    row.severity,
    row.logger,
    row.message,
    row.attributes ?? [],
  ]);
  // Compared as JSON: deepEqual on 100,000 batches takes as long as everything else together.
  assert.equal(JSON.stringify(written), JSON.stringify(expected), scanned.bytes.toString("hex"));
}

function toJson(value: AttributeValue): string {
  const isText = typeof value === "string" || (typeof value === "number" && !Number.isFinite(value));
  return comparable(isText ? JSON.stringify(String(value)) : String(value));
}

/** undefined where protobuf-es stumbles over a text that is given again, so that it does not count. */
function decode(bytes: Buffer) {
  try {
    return fromBinary(LogBatchSchema, bytes);
  } catch (error) {
    assert.ok(isEncodingError(error), `${bytes.toString("hex")}: ${String(error)}`);
    return undefined;
  }
}

async function copyIntoPostgres(rows: CopyRows): Promise<void> {
  await pipeline(Readable.from([rows.finish()]), client.query(copyFrom(copyStatement)));
  rows.clear();
}

async function storedRows(): Promise<Row[]> {
  const { rows } = await client.query(`
    SELECT batch_id, idx, (extract(epoch FROM time) * 1000000)::bigint AS micros, severity, logger, message,
      -- As pairs, for the reason given in testing/read-copy.ts.
      (SELECT json_agg(json_build_array(key, value::text)) FROM jsonb_each(attributes)) AS attributes,
      encode(trace_id, 'hex') AS trace_id, encode(span_id, 'hex') AS span_id,
      event_name, severity_text, uptime, (extract(epoch FROM observed_time) * 1000000)::bigint AS observed, flags
    FROM records ORDER BY batch_id, idx`);
  return rows.map((row) => ({
    batchId: row.batch_id,
    idx: row.idx,
    timeMicros: row.micros,
    severity: row.severity,
    logger: row.logger,
    message: row.message,
    attributes:
      row.attributes &&
      sortedByName(row.attributes.map(([key, json]: [string, string]) => [key, comparable(json)])),
    traceId: row.trace_id,
    spanId: row.span_id,
    eventName: row.event_name,
    severityText: row.severity_text,
    uptime: row.uptime,
    observedMicros: row.observed,
    flags: row.flags,
  }));
}

async function storedStatistics() {
  const { rows } = await client.query(`
    SELECT floor(extract(epoch FROM time) / 60)::int AS minute, severity, count(*)::int AS count
    FROM records GROUP BY 1, 2 ORDER BY 1, 2`);
  return rows;
}
