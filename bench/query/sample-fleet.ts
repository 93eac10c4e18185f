import { create, toBinary } from "@bufbuild/protobuf";
import { digest } from "#batch/digest.ts";
import { scan } from "#batch/scan.ts";
import { seededRandom } from "#batch/testing/random.ts";
import { encodeBatch } from "#bench/path/batch-pool.ts";
import { sampleRecord } from "#bench/sample-logs.ts";
import { createAttributes } from "#proto/attributes.ts";
import { LogBatchSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { Entry } from "#stream/entry.ts";

/** How large a history is made, and when it ends. */
export interface FleetSize {
  readonly records: number;
  readonly devices: number;
  readonly days: number;
  readonly endMs: number;
}

const recordsPerBatch = 100;

/** One record in this many has it, evenly spread, so a search for it reads all days and fills no page. */
export const rareWord = { text: "brownout", records: 20 };

/**
 * The entries of a fleet's history, in the order of their arrival. Devices wake up in turn and send what happened in
 * the last one to nine minutes; one batch in fifty is up to three days late. Each device boots every other day.
 *
 * The texts are those of a pool of 200,000 records, so that making them costs less than storing them.
 */
export function* fleetHistory({ records, devices, days, endMs }: FleetSize): Generator<Entry> {
  const random = seededRandom(7);
  const batches = Math.max(1, Math.round(records / recordsPerBatch));
  const pool = createTimelessPool(Math.min(poolBatches, batches));
  const spanMs = days * dayMs;
  const rareEvery = Math.max(1, Math.floor(batches / rareWord.records));
  const rare = rareRecord();
  const sequences = new Map<string, bigint>();
  for (let index = 0; index < batches; index++) {
    const receivedAtMs = Math.floor(endMs - spanMs + ((index + 1) / batches) * spanMs);
    const device = index % devices;
    const deviceId = `device-${String(device).padStart(5, "0")}`;
    const sessionId = `boot-${Math.floor(receivedAtMs / (2 * dayMs))}-${device}`;
    const sequence = (sequences.get(sessionId) ?? 0n) + 1n;
    sequences.set(sessionId, sequence);
    const lateMs = random() < 0.02 ? random() * 3 * dayMs : 0;
    const body = pool[index % pool.length] as TimelessBatch;
    const lengthMs = (1 + 8 * random()) * 60_000;
    setTimes(body, receivedAtMs - lateMs - lengthMs, lengthMs);
    const isRare = index % rareEvery === Math.floor(rareEvery / 2);
    const bytes = isRare ? Buffer.concat([body.bytes, rare.bytes]) : body.bytes;
    if (isRare) bytes.writeBigUInt64LE(nanos(receivedAtMs - lateMs), body.bytes.length + rare.timeAt);
    const batch = encodeBatch(deviceId, sessionId, sequence, bytes);
    const receivedAtMicros = receivedAtMs * 1000;
    yield { deviceId, sessionId, sequence, receivedAtMicros, digest: digest(scan(batch)), batch };
  }
}

/** Encoded records, and the offset of each record's time. */
interface TimelessBatch {
  readonly bytes: Buffer;
  readonly timesAt: readonly number[];
}

function createTimelessPool(batches: number): readonly TimelessBatch[] {
  const random = seededRandom(1);
  return Array.from({ length: batches }, () => {
    const timesAt: number[] = [];
    const pieces: Uint8Array[] = [];
    let length = 0;
    for (let index = 0; index < recordsPerBatch; index++) {
      const bytes = toBinary(
        LogBatchSchema,
        create(LogBatchSchema, { records: [sampleRecord(random, marker)] }),
      );
      timesAt.push(length + timeOffset(bytes));
      pieces.push(bytes);
      length += bytes.length;
    }
    return { bytes: Buffer.concat(pieces), timesAt };
  });
}

function rareRecord() {
  const record = {
    timeUnixNano: marker,
    severity: Severity.ERROR,
    logger: "power.supply",
    message: `rail dropped to 2.71 V: ${rareWord.text}, registers 0x00b0 0x1f44`,
    attributes: createAttributes({ [rareAttribute.name]: rareAttribute.value }),
  };
  const bytes = Buffer.from(toBinary(LogBatchSchema, create(LogBatchSchema, { records: [record] })));
  return { bytes, timeAt: timeOffset(bytes) };
}

/** Of the records with the rare word. */
export const rareAttribute = { name: "rail", value: "vbat-2" };

/** A time is eight bytes at any offset; this one is found again. */
const marker = 0x5ca1_ab1e_0ddb_a115n;
const markerBytes = Buffer.alloc(8);
markerBytes.writeBigUInt64LE(marker);

function timeOffset(bytes: Uint8Array): number {
  const at = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).indexOf(markerBytes);
  if (at < 0) throw new Error("the time of a record is not where it is looked for");
  return at;
}

function setTimes({ bytes, timesAt }: TimelessBatch, startMs: number, lengthMs: number): void {
  for (const [index, at] of timesAt.entries()) {
    bytes.writeBigUInt64LE(nanos(startMs + (index / timesAt.length) * lengthMs), at);
  }
}

function nanos(ms: number): bigint {
  return BigInt(Math.round(ms * 1000)) * 1000n;
}

const dayMs = 86_400_000;
const poolBatches = 2_000;
