import { writeFileSync } from "node:fs";
import { toJson } from "@bufbuild/protobuf";
import { seededRandom } from "#batch/testing/random.ts";
import { sampleRecord } from "#bench/sample-logs.ts";
import { AttributeSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

// Writes batch-1.json, batch-10.json and batch-100.json, what ghz sends: run `node bench/ghz/write-batches.ts` and
// `npm run format` after a change. The parts in {{ }} are filled in by ghz for every call, so that each call is a batch of its own: one that
// repeats an identity would measure how fast doubles are recognised. Records have no time, since a hundred more
// things to fill in would measure ghz; they get that of their receipt.

for (const count of [1, 10, 100]) {
  const random = seededRandom(count);
  const records = Array.from({ length: count }, () => {
    const { severity, logger, message, attributes } = sampleRecord(random, 0n);
    // As the contract has them: only Fleetlog's own JSON takes an object.
    const list = attributes.map((attribute) => toJson(AttributeSchema, attribute));
    return { severity, logger, message, attributes: list };
  });
  const batch = {
    deviceId: "ghz-{{mod .RequestNumber 96}}",
    sessionId: "{{.UUID}}",
    sequence: "1",
    records,
  };
  const file = new URL(`batch-${count}.json`, import.meta.url);
  writeFileSync(file, `${JSON.stringify({ batch }, undefined, 2)}\n`);
}
