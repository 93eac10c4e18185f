import { toBinary } from "@bufbuild/protobuf";
import { seededRandom } from "#batch/testing/random.ts";
import { sampleRecord } from "#bench/sample-logs.ts";
import { encodeRecord } from "#client/stream/record.ts";
import { LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** A kind of device: its log lines, and its share of the fleet. */
export interface Firmware {
  readonly name: string;
  /** Out of 100 devices. */
  readonly share: number;
  /** How much it talks, the fleet's average being about 1. */
  readonly talkativeness: number;
  /** How often each logger speaks. */
  readonly weights: Readonly<Record<string, number>>;
}

export const firmwares: readonly Firmware[] = [
  {
    name: "climate-2.4",
    share: 55,
    talkativeness: 0.6,
    weights: { "sensor.climate": 60, "net.mqtt": 25, "power.battery": 12, "net.wifi": 3 },
  },
  {
    name: "gateway-7.1",
    share: 15,
    talkativeness: 2.2,
    weights: { "http.server": 50, "net.mqtt": 30, "kernel.sched": 15, "net.wifi": 4, "storage.flash": 1 },
  },
  {
    name: "motion-1.9",
    share: 20,
    talkativeness: 1.4,
    weights: { "kernel.sched": 50, "motion.control": 18, "sensor.climate": 20, "net.mqtt": 11, watchdog: 1 },
  },
  {
    name: "tracker-0.8",
    share: 10,
    talkativeness: 0.6,
    weights: { "power.battery": 55, "net.wifi": 30, "net.mqtt": 10, "storage.flash": 5 },
  },
];

/** The firmware of device `index` of a fleet: in every hundred devices each has its share. */
export function chooseFirmware(index: number): Firmware {
  let at = (index * 37) % 100;
  return firmwares.find(({ share }) => (at -= share) < 0) ?? (firmwares[0] as Firmware);
}

const poolRecords = 1_024;

/** Records of one firmware, encoded once; each gets its time when it is sent. */
export class RecordPool {
  readonly #bodies: readonly Uint8Array[];

  constructor(firmware: Firmware, seed: number) {
    const random = seededRandom(seed);
    this.#bodies = Array.from({ length: poolRecords }, () =>
      toBinary(LogRecordSchema, sampleRecord(random, 0n, firmware.weights)),
    );
  }

  /** `count` records, the last one at `timeMs` and `stepMs` apart; `from` chooses which. */
  records(from: number, count: number, timeMs: number, stepMs: number): readonly Uint8Array[] {
    return Array.from({ length: count }, (_, at) => {
      const body = this.#bodies[(from + at) % poolRecords] as Uint8Array;
      return timed(body, timeMs - (count - 1 - at) * stepMs);
    });
  }
}

/** The log lines of a boot. */
export function bootRecords(firmware: Firmware, boot: number, timeMs: number): readonly Uint8Array[] {
  const lines = [
    `boot ${boot} of ${firmware.name}, reset cause ${boot % 3 === 0 ? "power" : "watchdog"}`,
    "clock set from RTC",
    "flash mounted: 1,024 blocks, 3 bad",
    "radio up, address by DHCP",
    "all tasks started",
  ];
  return lines.map((message, at) =>
    timed(encodeRecord({ severity: Severity.INFO, logger: "boot", message }), timeMs + at),
  );
}

/** Field 1 of LogRecord, a fixed64, in front of the others. */
function timed(body: Uint8Array, timeMs: number): Uint8Array {
  const record = Buffer.allocUnsafe(timeBytes + body.length);
  record[0] = (1 << 3) | 1;
  record.writeBigUInt64LE(BigInt(Math.round(timeMs * 1_000)) * 1_000n, 1);
  record.set(body, timeBytes);
  return record;
}

const timeBytes = 9;
