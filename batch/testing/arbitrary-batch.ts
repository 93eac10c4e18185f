import { create, fromBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import {
  type Attribute,
  AttributeSchema,
  type LogBatch,
  LogBatchSchema,
  LogRecordSchema,
  type Severity,
} from "#proto/gen/fleetlog/v1/log_pb.ts";
import { limits } from "../limits.ts";
import type { BatchMeaning, RecordMeaning } from "./re-encode.ts";
import { bytesField, valueField, type WireValue } from "./wire.ts";

const text = (maxLength: number) =>
  fc.string({ unit: "binary", maxLength }).filter((value) => !value.includes("\0"));
const id = (bytes: number) =>
  fc.oneof(
    fc.constant(new Uint8Array()),
    fc.uint8Array({ minLength: bytes, maxLength: bytes }).filter((value) => value.some((byte) => byte > 0)),
  );
const value: fc.Arbitrary<WireValue> = fc.oneof(
  text(12),
  fc.constantFrom(null, true, false, 0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), 0, Number.NaN),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.double().map((double) => double + 0),
);
const attributes = (maxLength: number) =>
  fc.uniqueArray(
    fc.tuple(
      text(6).filter((key) => key !== ""),
      value,
    ),
    { selector: ([key]) => key, maxLength },
  );
const device = fc.option(
  fc.record({ firmware: text(8), hardware: text(8), site: text(8), attributes: attributes(3) }),
  { nil: undefined },
);
const meaningOfRecord: fc.Arbitrary<RecordMeaning> = fc.record({
  timeUnixNano: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  severity: fc.nat({ max: limits.severityMax }),
  logger: text(8),
  message: fc.oneof(text(20), text(200)),
  attributes: attributes(12),
  traceId: id(limits.traceIdBytes),
  spanId: id(limits.spanIdBytes),
  eventName: text(8),
  uptimeNano: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: limits.uptimeNanoMax })),
  severityText: text(8),
  observedTimeUnixNano: fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
});
const sequence = fc.oneof(fc.bigInt({ min: 1n, max: 300n }), fc.bigInt({ min: 1n, max: limits.sequenceMax }));
/** Any batch that is accepted as a whole. */
export const anyBatch: fc.Arbitrary<BatchMeaning> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      deviceId: fc.constantFrom("host-1", "d".repeat(limits.deviceIdBytesMax)),
      sessionId: fc.constantFrom("boot-1", "s".repeat(limits.sessionIdBytesMax)),
      sequence,
      records: fc.array(meaningOfRecord, { minLength: 1, maxLength: 4 }),
      attributes: attributes(4),
      device,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      deviceId: fc.constant("script"),
      sessionId: fc.constant(""),
      sequence: fc.constant(0n),
      records: fc.array(meaningOfRecord, { minLength: 1, maxLength: 2 }),
      attributes: attributes(1),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      deviceId: fc.constant("host-1"),
      sessionId: fc.constant("boot-1"),
      sequence: fc.bigInt({ min: 1n, max: 300n }),
      records: fc.constant([]),
      attributes: fc.constant([]),
      device,
      dropped: fc.record({ lastSequence: fc.constantFrom(0n, limits.droppedBatchesMax), reason: text(20) }),
    }),
  },
);
export function toMessage({ records, dropped, device, ...batch }: BatchMeaning): LogBatch {
  return create(LogBatchSchema, {
    ...batch,
    records: records.map(({ attributes, severity, ...record }) =>
      create(LogRecordSchema, {
        ...record,
        severity: severity as Severity,
        attributes: attributes.map(toAttribute),
      }),
    ),
    attributes: batch.attributes.map(toAttribute),
    ...(dropped && { dropped }),
    ...(device && { device: { ...device, attributes: device.attributes.map(toAttribute) } }),
  });
}

function toAttribute([key, value]: readonly [string, WireValue]): Attribute {
  return fromBinary(AttributeSchema, Buffer.concat([bytesField(1, key), valueField(value)]));
}
