import { gzipSync } from "node:zlib";
import { mutated } from "#batch/testing/mutated.ts";
import type { Random } from "#batch/testing/random.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";
import { Http1Calls, Http2Calls } from "../http-calls.ts";
import { readCode } from "../response.ts";
import type { Target } from "../target.ts";

export const json: Block = {
  name: "json",
  title: "batches in JSON of any shape: no record is lost by what stands beside it",
  countFull: 20_000,
  countSmoke: 250,
  workers: 8,
  start: async ({ system }) => new JsonRun(system),
};

const path = "/fleetlog.v1.IngestService/PushLogs";

class JsonRun implements BlockRun {
  readonly #calls: readonly (Http1Calls | Http2Calls)[];

  constructor({ servers, nginx }: Target["system"]) {
    const { http = "" } = servers[0]!.addresses;
    this.#calls = [new Http2Calls(http), new Http1Calls(http), new Http1Calls(nginx.http)];
  }

  async tryOne(random: Random, index: number, note: (what: string) => void): Promise<string> {
    const good = random.list(4, () => `{"message":"good ${index}"}`);
    const strange = random.list(4, () => strangeRecord(random));
    const records = random.shuffle([...good, ...strange]);
    const members = random.shuffle([
      '"deviceId":"json"',
      `"records":[${records.join()}]`,
      ...random.list(2, () => `"x${text(random).slice(1)}:${value(random, 0)}`),
    ]);
    const whole = Buffer.from(`{"batch":{${members.join()}}}`);
    const isChanged = random.chance(0.3);
    const body = isChanged ? mutated(random, whole, whole) : whole;
    note(body.toString("latin1").slice(0, 2_000));
    const isGzip = random.chance(0.2);
    const response = await random.pick(this.#calls).send({
      path,
      headers: { "content-type": "application/json", ...(isGzip && { "content-encoding": "gzip" }) },
      pieces: [isGzip ? gzipSync(body) : body],
      end: "end",
    });
    const code = readCode(response);
    if (isChanged) return code;
    if (records.length === 0) return code;
    const { ack } = JSON.parse(response.body.toString()) as { ack?: { accepted: number; rejected: number } };
    if (ack === undefined || ack.accepted < good.length || ack.accepted + ack.rejected !== records.length) {
      const printed = response.body.toString().slice(0, 300);
      throw new BrokenPromiseError(`${good.length} good of ${records.length} records: ${printed}`);
    }
    return ack.rejected > 0 ? "taken without some records" : "taken";
  }

  async finish(): Promise<void> {
    for (const calls of this.#calls) calls.close();
  }
}

/** What stands where a record belongs. */
function strangeRecord(random: Random): string {
  if (random.chance(0.2)) return value(random, 0);
  const members = random.list(6, () => {
    const key = random.pick([
      "timeUnixNano",
      "time_unix_nano",
      "severity",
      "logger",
      "message",
      "attributes",
      "level",
    ]);
    return `"${key}":${random.chance(0.3) ? fitting(random, key) : value(random, 0)}`;
  });
  return `{${members.join()}}`;
}

function fitting(random: Random, key: string): string {
  if (key === "severity") return random.pick(['"WARN"', '"error"', "9", '"SEVERITY_INFO"']);
  if (key.startsWith("time"))
    return random.pick(['"1700000000000000000"', '"2026-11-27T17:00:00+01:00"', "1.7e18"]);
  if (key === "attributes") return `{${random.list(4, () => `${text(random)}:${value(random, 4)}`).join()}}`;
  return text(random);
}

/** Any JSON value, not too deep. */
export function value(random: Random, depth: number): string {
  switch (random.below(depth > 4 ? 5 : 7)) {
    case 0:
      return random.pick(["null", "true", "false"]);
    case 1:
      return random.pick(["0", "-0", "1e400", "-1.5e-7", "18446744073709551616", "9007199254740993", "25"]);
    case 5:
      return `[${random.list(4, () => value(random, depth + 1)).join(random.pick([",", " ,\n"]))}]`;
    case 6:
      return `{${random.list(4, () => `${text(random)}:${value(random, depth + 1)}`).join()}}`;
    default:
      return text(random);
  }
}

const pieces = [
  "a",
  "größe",
  "漢字",
  "\u{1f680}",
  "\\ud83d",
  "\\ude00\\ud83d",
  "\\u0000",
  "\\u0041",
  '\\"',
  "\\\\",
  "\\n",
  "__proto__",
  "\u2028",
  "x".repeat(300),
];

export function text(random: Random): string {
  return `"${random.list(5, () => random.pick(pieces)).join("")}"`;
}
