import { DateTime } from "luxon";
import { limits } from "#batch/limits.ts";
import type { Random } from "#batch/testing/random.ts";
import { LineEncoder, type ReadRecord } from "#client/lines/line-encoder.ts";
import { TimeReader } from "#client/lines/time-reader.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";

/** Runs in this process: what `fleetlog send` reads needs no server. */
export const lines: Block = {
  name: "lines",
  title: "lines of log files: times that another library wrote, garbage behind them, damaged bytes",
  countFull: 200_000,
  countSmoke: 2_000,
  workers: 1,
  start: async () => new LinesRun(),
};

const zones = ["UTC", "Europe/Berlin", "America/St_Johns", "Asia/Kathmandu", "Pacific/Auckland"];
/** Luxon's words; those with an offset, or of the zone that the reader is given. */
const formats = [
  "yyyy-MM-dd'T'HH:mm:ssZZ",
  "yyyy-MM-dd HH:mm:ss ZZZ",
  "EEE, dd MMM yyyy HH:mm:ss ZZZ",
  "'10.0.0.1 - - ['dd/MMM/yyyy:HH:mm:ss ZZZ']'",
  `'{"level":"error","time":"'yyyy-MM-dd'T'HH:mm:ssZZ'"}'`,
  "'level=warn ts='yyyy-MM-dd'T'HH:mm:ssZZ",
];
const fromSeconds = Date.UTC(2001, 8, 10) / 1_000;
const toSeconds = Date.UTC(2099, 0, 1) / 1_000;
const garbage = " +-:.,0123456789ZzUTCISPDEMabc[]()/_%".split("");
const others = [
  "\tat a.b(C.java:1)",
  "Traceback (most recent call last):",
  "panic: x",
  "Caused by: y",
  "",
  "{",
  "}",
];

class LinesRun implements BlockRun {
  async tryOne(random: Random, _index: number, note: (what: string) => void): Promise<string> {
    const zone = random.pick(zones);
    const seconds = fromSeconds + random.below(toSeconds - fromSeconds);
    const written = DateTime.fromSeconds(seconds, { zone, locale: "en-US" });
    const line = written.toFormat(random.pick(formats));
    note(`${JSON.stringify(line)} in ${zone}`);
    const read = readTime(line, zone);
    if (read !== BigInt(seconds) * 1_000_000_000n) throw new BrokenPromiseError(`was read as ${read}`);
    return random.chance(0.5) ? tryTail(random, seconds, note) : tryBytes(random, line, note);
  }

  async finish(): Promise<void> {}
}

function readTime(line: string, zone: string | number): bigint | undefined {
  return new TimeReader({ zone }).read(Buffer.from(line)).time;
}

/** Whatever stands behind the seconds, it moves a time by nothing that is no zone's offset. */
function tryTail(random: Random, seconds: number, note: (what: string) => void): string {
  // Half of them begin as an offset does.
  const start = random.chance(0.5)
    ? `${random.pick(["", " "])}${random.pick(["+", "-"])}${random.below(100)}`
    : "";
  const tail = start + random.list(12, () => random.pick(garbage)).join("");
  const line = DateTime.fromSeconds(seconds, { zone: "UTC" }).toFormat("yyyy-MM-dd HH:mm:ss") + tail;
  note(JSON.stringify(line));
  const read = readTime(line, 0);
  if (read === undefined) return "no time";
  const moved = Number(read / 1_000_000_000n) - seconds;
  const isHalf = /^(?:[.,:]\d+)? ?[AP]\.?M/i.test(tail); // a clock of twelve hours
  if (moved === 0) return "its time";
  if (moved % 900 !== 0 || moved < -14 * 3_600 || (!isHalf && moved > 12 * 3_600)) {
    throw new BrokenPromiseError(`was moved by ${moved} s`);
  }
  return "a zone";
}

/** Lines with damaged bytes become records that are within the limits, and whose messages are the lines. */
function tryBytes(random: Random, line: string, note: (what: string) => void): string {
  const input = Array.from({ length: 1 + random.below(30) }, () => {
    const bytes = Buffer.from(random.pick([line, ...others]));
    for (const _ of random.list(3, () => 0)) bytes[random.below(bytes.length)] = random.below(256);
    return Buffer.from(bytes.filter((byte) => byte !== 0x0a));
  });
  note(JSON.stringify(input.map((bytes) => bytes.toString("latin1"))));
  const encoder = new LineEncoder({ file: "f", isLive: random.chance(0.5) });
  const records: ReadRecord[] = [];
  for (const [index, bytes] of input.entries()) {
    const ended = encoder.add({ number: index + 1, bytes });
    if (ended) records.push(ended);
  }
  const last = encoder.finish();
  if (last) records.push(last);
  if (joined(records.map(({ message }) => message)) !== joined(input)) {
    throw new BrokenPromiseError("the messages are not the lines");
  }
  for (const record of records) {
    encoder.encode(record);
    if (record.message.length > limits.messageBytesMax) throw new BrokenPromiseError("a message is too long");
    if (record.severity < 1 || record.severity > 24) throw new BrokenPromiseError("no severity");
  }
  return records.length < input.length ? "joined" : "a record each";
}

function joined(parts: readonly Buffer[]): string {
  return parts.map((part) => part.toString("latin1")).join("\n");
}
