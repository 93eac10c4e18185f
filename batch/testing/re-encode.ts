import { fromBinary } from "@bufbuild/protobuf";
import { readAttributes } from "#proto/attributes.ts";
import { type Attribute, LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { knownFieldMax } from "../log-tags.ts";
import type { Random } from "./random.ts";
import { tag, valueField, varint, type WireValue } from "./wire.ts";

/** What a batch means; what is absent on the wire has its default here. */
export interface BatchMeaning {
  readonly deviceId: string;
  readonly sessionId: string;
  readonly sequence: bigint;
  readonly records: readonly RecordMeaning[];
  readonly dropped?: { readonly lastSequence: bigint; readonly reason: string } | undefined;
  readonly attributes: Attributes;
  readonly device?: DeviceMeaning | undefined;
}

interface DeviceMeaning {
  readonly firmware: string;
  readonly hardware: string;
  readonly site: string;
  readonly attributes: Attributes;
}

/** Names are distinct. */
type Attributes = readonly (readonly [key: string, value: WireValue])[];

export interface RecordMeaning {
  readonly timeUnixNano: bigint;
  readonly severity: number;
  readonly logger: string;
  readonly message: string;
  readonly attributes: Attributes;
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly eventName: string;
  readonly uptimeNano: bigint;
  readonly severityText: string;
  readonly observedTimeUnixNano: bigint;
}

/** How far an encoding may go. "tame": as generated clients do, which only order attributes as they like. */
export type Wildness = "tame" | "wild";

/** The batch as one of the encodings that protobuf has for it. */
export function reEncode(random: Random, batch: BatchMeaning, wildness: Wildness = "wild"): Buffer {
  const encoder = new Encoder(random, wildness === "wild");
  const { dropped, device } = batch;
  return encoder.message(knownFieldMax.batch, [
    encoder.text(1, batch.deviceId),
    encoder.text(2, batch.sessionId),
    encoder.number(3, batch.sequence),
    batch.records.map((record) => encoder.bytes(4, encoder.record(record))),
    dropped === undefined
      ? []
      : encoder.split(5, knownFieldMax.dropped, [
          encoder.number(1, dropped.lastSequence),
          encoder.text(2, dropped.reason),
        ]),
    ...encoder.attributes(6, batch.attributes),
    device === undefined
      ? []
      : encoder.split(7, knownFieldMax.deviceInfo, [
          encoder.text(1, device.firmware),
          encoder.text(2, device.hardware),
          encoder.text(3, device.site),
          ...encoder.attributes(4, device.attributes),
        ]),
  ]);
}

/** An encoded LogBatch, its text UTF-8, in another of its encodings. */
export function reEncodeBytes(random: Random, bytes: Uint8Array, wildness?: Wildness): Buffer {
  const { records, device, ...batch } = fromBinary(LogBatchSchema, bytes, { readUnknownFields: false });
  const meaning = { ...read(batch), records: records.map(read), device: device && read(device) };
  return reEncode(random, meaning, wildness);
}

function read<Message extends { readonly attributes: Attribute[] }>(message: Message) {
  return { ...message, attributes: Object.entries(readAttributes(message.attributes)) };
}

/** Encoded fields whose order among themselves counts. */
type Strand = readonly Buffer[];

class Encoder {
  readonly #random: Random;
  readonly #isWild: boolean;

  constructor(random: Random, isWild: boolean) {
    this.#random = random;
    this.#isWild = isWild;
  }

  record(record: RecordMeaning): Buffer {
    const { timeUnixNano, severity, logger, message, attributes, traceId, spanId, eventName } = record;
    return this.message(knownFieldMax.record, [
      this.#fixed64(1, timeUnixNano),
      // An enum is an int32: the bits above are dropped.
      this.number(2, BigInt(severity) + (this.#sometimes(0.1) ? 5n << 40n : 0n)),
      this.text(3, logger),
      this.text(4, message),
      ...this.attributes(5, attributes),
      this.id(7, traceId),
      this.id(8, spanId),
      this.text(9, eventName),
      this.#fixed64(10, record.uptimeNano),
      this.text(11, record.severityText),
      this.#fixed64(12, record.observedTimeUnixNano),
    ]);
  }

  /** A string field: left out, or explicitly empty; given more than once, and the last one counts. */
  text(field: number, value: string): Strand {
    const last = value !== "" || this.#sometimes(0.3) ? [this.bytes(field, Buffer.from(value))] : [];
    if (last.length === 0) return last;
    return this.#sometimes(0.1) ? [this.bytes(field, Buffer.from("another")), ...last] : last;
  }

  /** An id: none is left out, explicitly empty, or all zeros; given more than once, and the last one counts. */
  id(field: number, value: Uint8Array): Strand {
    const size = field === 7 ? 16 : 8;
    const none = this.#sometimes(0.2) ? [Buffer.alloc(this.#random.pick([0, size]))] : [];
    const last = value.length > 0 ? [value] : none;
    const before = last.length > 0 && this.#sometimes(0.1) ? [Buffer.alloc(size, 5)] : [];
    return [...before, ...last].map((id) => this.bytes(field, id));
  }

  number(field: number, value: bigint): Strand {
    const write = (number: bigint) => Buffer.concat([this.#tag(field, 0), this.#varint(number)]);
    if (value === 0n && !this.#sometimes(0.3)) return [];
    return this.#sometimes(0.1) ? [write(77n), write(value)] : [write(value)];
  }

  bytes(field: number, value: Uint8Array): Buffer {
    return Buffer.concat([this.#tag(field, 2), this.#varint(BigInt(value.length)), value]);
  }

  /** A message field in one piece or two: a message that is given twice is merged. */
  split(field: number, knownMax: number, strands: readonly Strand[]): Strand {
    if (!this.#sometimes(0.3)) return [this.bytes(field, this.message(knownMax, strands))];
    return [
      this.bytes(field, this.message(knownMax, strands.slice(0, 1))),
      this.bytes(field, this.message(knownMax, strands.slice(1))),
    ];
  }

  /** The strands one after the other, or mixed, with unknown fields between. */
  message(knownMax: number, strands: readonly Strand[]): Buffer {
    if (!this.#isWild) return Buffer.concat(strands.flat());
    const rest = strands.map((strand) => [...strand]);
    rest.push(this.#random.list(this.#sometimes(0.3) ? 2 : 0, () => this.#unknown(knownMax)));
    const isMixed = this.#sometimes(0.5);
    const fields: Buffer[] = [];
    for (let left = rest.filter(hasMore); left.length > 0; left = rest.filter(hasMore)) {
      fields.push((isMixed ? this.#random.pick(left) : left[0]!).shift()!);
    }
    return Buffer.concat(fields);
  }

  /** In any order. */
  attributes(field: number, attributes: Attributes): readonly Strand[] {
    return this.#random.shuffle(attributes.map(([key, value]) => this.#attribute(field, key, value)));
  }

  /** Name and value in any order; the last of several values counts, and so does the last of a repeated name. */
  #attribute(field: number, key: string, value: WireValue): Strand {
    const entry = (value: WireValue) => {
      const before = value !== null && this.#sometimes(0.1) ? [valueField(7n)] : [];
      const fields = [[this.bytes(1, Buffer.from(key))], [...before, this.#value(value)]];
      return this.bytes(
        field,
        this.message(knownFieldMax.attribute, this.#isWild ? this.#random.shuffle(fields) : fields),
      );
    };
    return this.#sometimes(0.1) ? [entry("before"), entry(value)] : [entry(value)];
  }

  /** An integer may take more bytes than it needs, any number but 0 is true, and many doubles are NaN. */
  #value(value: WireValue): Buffer {
    if (typeof value === "boolean") {
      const number = this.#sometimes(0.1) ? 2n ** 40n : 1n;
      return Buffer.concat([this.#tag(3, 0), this.#varint(value ? number : 0n)]);
    }
    if (typeof value === "bigint") {
      return Buffer.concat([
        this.#tag(4, 0),
        this.#varint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n))),
      ]);
    }
    const others = Number.isNaN(value) ? ["010000000000f87f", "000000000000f8ff"] : ["0000000000000080"];
    if ((Number.isNaN(value) || value === 0) && this.#sometimes(0.5)) {
      return Buffer.concat([tag(5, 1), Buffer.from(this.#random.pick(others), "hex")]);
    }
    return valueField(value);
  }

  #fixed64(field: number, value: bigint): Strand {
    if (value === 0n && !this.#sometimes(0.3)) return [];
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    const write = () => Buffer.concat([this.#tag(field, 1), bytes]);
    return this.#sometimes(0.1)
      ? [Buffer.concat([this.#tag(field, 1), Buffer.alloc(8, 3)]), write()]
      : [write()];
  }

  #unknown(knownMax: number): Buffer {
    const field = this.#random.pick([knownMax + 1, knownMax + 11, 536_870_911]);
    switch (this.#random.below(4)) {
      case 0:
        return Buffer.concat([this.#tag(field, 0), this.#varint(300n)]);
      case 1:
        return this.bytes(field, Buffer.from([0xff, 0x0a]));
      case 2:
        return Buffer.concat([tag(field, 5), Buffer.alloc(4, 9)]);
      default:
        return Buffer.concat([tag(field, 3), tag(1, 3), tag(1, 4), tag(field, 4)]);
    }
  }

  #tag(field: number, type: number): Buffer {
    return this.#padded(tag(field, type), 5);
  }

  #varint(value: bigint): Buffer {
    return this.#padded(varint(value), 10);
  }

  /** A varint in more bytes than it needs. */
  #padded(bytes: Buffer, bytesMax: number): Buffer {
    if (bytes.length >= bytesMax || !this.#sometimes(0.05)) return bytes;
    const longer = Buffer.alloc(bytes.length + 1 + this.#random.below(bytesMax - bytes.length), 0x80);
    bytes.copy(longer);
    longer[bytes.length - 1]! |= 0x80;
    longer[longer.length - 1] = 0;
    return longer;
  }

  #sometimes(probability: number): boolean {
    return this.#isWild && this.#random.chance(probability);
  }
}

function hasMore(strand: readonly Buffer[]): boolean {
  return strand.length > 0;
}
