import assert from "node:assert/strict";
import { test } from "node:test";
import { digest } from "#batch/digest.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { scan } from "#batch/scan.ts";
import { mutated } from "#batch/testing/mutated.ts";
import { Random } from "#batch/testing/random.ts";
import { readOtlpJson } from "./json/read-json.ts";
import { encodeOtlp, type OtlpRequest } from "./testing/otlp.ts";
import { randomOtlp } from "./testing/random-otlp.ts";
import { Transcoder } from "./transcode.ts";

const transcoder = new Transcoder(["host.name"]);
const digests = (request: Buffer) =>
  [...transcoder.transcode(request)].map(({ bytes }) => digest(scan(bytes)).toString("hex"));

test("each batch of any request passes the scan, and none of its records is missing", () => {
  const random = new Random(1);
  let rejected = 0;
  let accepted = 0;
  for (let round = 0; round < 800; round++) {
    const request = randomOtlp(random);
    let records = 0;
    for (const batch of transcoder.transcode(encodeOtlp(request))) {
      const scanned = scan(batch.bytes);
      assert.equal(scanned.recordCount, batch.recordCount);
      records += batch.recordCount;
      rejected += scanned.rejections.length;
      accepted += scanned.acceptedCount;
    }
    assert.equal(records, countRecords(request));
  }
  assert.ok(rejected > 200 && accepted > 200, `${accepted} accepted, ${rejected} rejected`);
});

test("JSON and protobuf of a request give the same batches, and so does the request sent again", () => {
  const random = new Random(2);
  for (let round = 0; round < 800; round++) {
    const request = randomOtlp(random);
    const binary = digests(encodeOtlp(request));
    assert.deepEqual(digests(readOtlpJson(Buffer.from(JSON.stringify(request)))), binary);
    assert.deepEqual(digests(encodeOtlp(request)), binary);
  }
});

test("damaged bytes are refused with a reason, or give batches that pass the scan", () => {
  const random = new Random(3);
  let refused = 0;
  for (let round = 0; round < 2_000; round++) {
    const whole = encodeOtlp(randomOtlp(random));
    const damaged = mutated(random, whole, encodeOtlp(randomOtlp(random)));
    try {
      for (const { bytes } of transcoder.transcode(damaged)) {
        assert.ok(bytes.length <= limits.batchBytesMax);
        scan(bytes);
      }
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
      assert.match(error.message, /^request /, "a batch was refused, not the request");
      refused += 1;
    }
  }
  assert.ok(refused > 200 && refused < 1_800, `${refused} refused`);
});

test("damaged JSON is refused with a reason, or is a request", () => {
  const random = new Random(4);
  for (let round = 0; round < 1_000; round++) {
    const whole = Buffer.from(JSON.stringify(randomOtlp(random)));
    try {
      digests(readOtlpJson(mutated(random, whole, whole)));
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
    }
  }
});

function countRecords({ resourceLogs = [] }: OtlpRequest): number {
  return resourceLogs
    .flatMap(({ scopeLogs = [] }) => scopeLogs)
    .reduce((sum, { logRecords = [] }) => sum + logRecords.length, 0);
}
