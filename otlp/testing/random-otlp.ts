import type { Random } from "#batch/testing/random.ts";
import type { OtlpAttribute, OtlpRecord, OtlpRequest, OtlpValue } from "./otlp.ts";

const texts = [
  "",
  "a",
  "größe",
  "\u{1f680}",
  "\0",
  'quote " and \\',
  "\u2028\n\t",
  "__proto__",
  "x".repeat(300),
  "x".repeat(8_193),
];
const keys = ["a", "host.name", "log.record.uid", "", "k".repeat(129), "nested.name", "ü"];
const times = ["0", "1", "1700000000123456789", "18446744073709551615"];

/** A request of every shape that OTLP allows, also beyond the limits of a record or batch. */
export function randomOtlp(random: Random): OtlpRequest {
  const resourceLogs = random.list(4, () => ({
    ...(random.chance(0.8) && { resource: { attributes: attributes(random, 6) } }),
    ...(random.chance(0.2) && { schemaUrl: random.pick(texts) }),
    scopeLogs: random.list(3, () => ({
      ...(random.chance(0.8) && {
        scope: {
          name: random.pick(texts),
          ...(random.chance(0.3) && { version: random.pick(texts) }),
          ...(random.chance(0.2) && { attributes: attributes(random, 3) }),
          ...(random.chance(0.1) && { droppedAttributesCount: random.below(5) }),
        },
      }),
      logRecords: random.list(6, () => randomOtlpRecord(random)),
    })),
  }));
  return { resourceLogs };
}

export function randomOtlpRecord(random: Random): OtlpRecord {
  const sometimes = <T extends object>(chance: number, make: () => T) => random.chance(chance) && make();
  return {
    ...sometimes(0.8, () => ({ timeUnixNano: random.pick(times) })),
    ...sometimes(0.5, () => ({ observedTimeUnixNano: random.pick(times) })),
    ...sometimes(0.7, () => ({ severityNumber: random.pick([0, 1, 9, 24, 25, -1]) })),
    ...sometimes(0.5, () => ({ severityText: random.pick(texts) })),
    ...sometimes(0.9, () => ({ body: value(random, 0) })),
    ...sometimes(0.7, () => ({ attributes: attributes(random, random.chance(0.05) ? 90 : 6) })),
    ...sometimes(0.3, () => ({ traceId: random.pick(["0af7651916cd43dd8448eb211c80319c", "00", ""]) })),
    ...sometimes(0.3, () => ({ spanId: random.pick(["b7ad6b7169203331", "0102"]) })),
    ...sometimes(0.2, () => ({ flags: random.pick([1, 255, 4_294_967_295]) })),
    ...sometimes(0.1, () => ({ droppedAttributesCount: 7 })),
    ...sometimes(0.3, () => ({ eventName: random.pick(texts) })),
  };
}

function attributes(random: Random, countMax: number): OtlpAttribute[] {
  return random.list(countMax, () => ({
    key: random.pick(keys),
    ...(random.chance(0.95) && { value: value(random, 0) }),
  }));
}

function value(random: Random, depth: number): OtlpValue {
  switch (random.below(depth > 4 ? 6 : 9)) {
    case 0:
      return {};
    case 1:
      return { boolValue: random.chance(0.5) };
    case 2:
      return { intValue: random.pick(["0", "-1", "9223372036854775807", "-9223372036854775808", "42"]) };
    case 3:
      return { doubleValue: random.pick([0, -0.5, 1e300, 5e-324, 21.5]) };
    case 4:
      return { bytesValue: random.pick(["", "aGk=", "AAECAwQ="]) };
    case 6:
      return { arrayValue: { values: random.list(4, () => value(random, depth + 1)) } };
    case 7:
      return {
        kvlistValue: {
          values: random.list(4, () => ({ key: random.pick(keys), value: value(random, depth + 1) })),
        },
      };
    case 8: {
      let nested = value(random, 5);
      for (let level = random.below(60); level > 0; level--) nested = { arrayValue: { values: [nested] } };
      return nested;
    }
    default:
      return { stringValue: random.pick(texts) };
  }
}
