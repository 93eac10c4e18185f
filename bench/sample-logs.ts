import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { createAttributes } from "#proto/attributes.ts";
import { type LogRecord, LogRecordSchema, Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";

type Random = () => number;

/** How often a kind of message comes, and how one is made. */
interface Template {
  readonly weight: number;
  readonly severity: Severity;
  readonly logger: string;
  readonly write: (
    random: Random,
  ) => Pick<MessageInitShape<typeof LogRecordSchema>, "message" | "attributes">;
}

const whole = (random: Random, below: number) => Math.floor(random() * below);
const pick = <T>(random: Random, from: readonly [T, ...T[]]): T =>
  from[whole(random, from.length)] ?? from[0];
const hex = (random: Random, digits: number) =>
  whole(random, 16 ** digits)
    .toString(16)
    .padStart(digits, "0");
const address = (random: Random) =>
  `10.${whole(random, 256)}.${whole(random, 256)}.${1 + whole(random, 254)}`;

const templates: readonly Template[] = [
  {
    weight: 30,
    severity: Severity.INFO,
    logger: "sensor.climate",
    write: (random) => ({
      message: `temperature ${(18 + random() * 12).toFixed(2)} C, humidity ${(30 + random() * 40).toFixed(1)} %, dew point ${(random() * 12).toFixed(1)} C`,
      attributes: createAttributes({ sensor: `bme280-${whole(random, 4)}` }),
    }),
  },
  {
    weight: 20,
    severity: Severity.DEBUG,
    logger: "net.mqtt",
    write: (random) => ({
      message: `PUBLISH fleet/${hex(random, 6)}/state qos=1 id=${whole(random, 65_536)} ${64 + whole(random, 900)} bytes acknowledged in ${whole(random, 400)} ms`,
      attributes: createAttributes({ broker: pick(random, ["eu-west", "eu-north", "us-east"]) }),
    }),
  },
  {
    weight: 14,
    severity: Severity.INFO,
    logger: "http.server",
    write: (random) => ({
      message: `GET /api/v2/${pick(random, ["status", "metrics", "config", "firmware"])}/${whole(random, 10_000)} ${pick(random, [200, 200, 200, 304, 404])} ${whole(random, 20_000)}B ${(random() * 80).toFixed(1)}ms`,
      attributes: createAttributes({ peer: address(random) }),
    }),
  },
  {
    weight: 10,
    severity: Severity.INFO,
    logger: "power.battery",
    write: (random) => ({
      message: `charge ${whole(random, 101)} %, ${(3.3 + random() * 0.9).toFixed(3)} V, ${whole(random, 1200) - 600} mA, cycle ${whole(random, 900)}`,
    }),
  },
  {
    weight: 9,
    severity: Severity.DEBUG,
    logger: "kernel.sched",
    write: (random) => ({
      message: `task ${pick(random, ["idle", "radio", "logger", "control", "ota"])} ran ${whole(random, 9_000)} us, stack free ${whole(random, 4_096)}, heap ${whole(random, 262_144)}`,
      attributes: createAttributes({ core: String(whole(random, 2)) }),
    }),
  },
  {
    weight: 8,
    severity: Severity.WARN,
    logger: "net.wifi",
    write: (random) => ({
      message: `weak signal from ${Array.from({ length: 6 }, () => hex(random, 2)).join(":")}: rssi -${60 + whole(random, 35)} dBm, ${whole(random, 30)} retries in the last minute`,
      attributes: createAttributes({ channel: String(1 + whole(random, 13)) }),
    }),
  },
  {
    weight: 5,
    severity: Severity.ERROR,
    logger: "storage.flash",
    write: (random) => ({
      message: `write of page 0x${hex(random, 6)} failed: ECC mismatch at byte ${whole(random, 2_048)}, block ${whole(random, 1_024)} marked bad`,
      attributes: createAttributes({ errno: pick(random, ["EIO", "ETIMEDOUT", "ENOSPC"]) }),
    }),
  },
  {
    weight: 3,
    severity: Severity.ERROR,
    logger: "motion.control",
    write: (random) => ({
      message: `axis ${pick(random, ["x", "y", "z"])} missed ${1 + whole(random, 40)} steps at ${(random() * 300).toFixed(2)} mm – „Schlupf“ über ${(random() * 2).toFixed(3)} mm`,
    }),
  },
  {
    weight: 1,
    severity: Severity.FATAL,
    logger: "watchdog",
    write: (random) => ({
      message: `reset after ${whole(random, 120)} s without feed\n  pc=0x${hex(random, 6)} lr=0x${hex(random, 6)}\n  at control_loop+0x${hex(random, 3)}`,
      attributes: createAttributes({ cause: "task_wdt", boot: String(whole(random, 500)) }),
    }),
  },
];

/** Every logger that {@link sampleRecord} knows, with its usual weight. */
const sampleLoggers: Readonly<Record<string, number>> = Object.fromEntries(
  templates.map(({ logger, weight }) => [logger, weight]),
);

/** Makes one realistic record at the given time, of one of nine kinds; about 110 bytes encoded. */
export function sampleRecord(
  random: Random,
  timeUnixNano: bigint,
  weights: Readonly<Record<string, number>> = sampleLoggers,
): LogRecord {
  const weigh = ({ logger }: Template) => weights[logger] ?? 0;
  let at = random() * templates.reduce((sum, template) => sum + weigh(template), 0);
  const template = templates.find((candidate) => (at -= weigh(candidate)) < 0) ?? templates[0];
  if (template === undefined) throw new Error("there are no templates");
  const { severity, logger, write } = template;
  return create(LogRecordSchema, { timeUnixNano, severity, logger, ...write(random) });
}
