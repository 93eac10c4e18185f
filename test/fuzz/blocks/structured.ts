import { gzipSync } from "node:zlib";
import { mutated } from "#batch/testing/mutated.ts";
import type { Random } from "#batch/testing/random.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";
import { Http1Calls, Http2Calls } from "../http-calls.ts";
import { readCode } from "../response.ts";
import type { Target } from "../target.ts";
import { text, value } from "./json.ts";

export const structured: Block = {
  name: "structured",
  title: "structured logs of any shape over HTTP: no record is lost by what stands beside it",
  countFull: 20_000,
  countSmoke: 250,
  workers: 8,
  start: async ({ system }) => new StructuredRun(system),
};

class StructuredRun implements BlockRun {
  readonly #calls: readonly (Http1Calls | Http2Calls)[];

  constructor({ servers, nginx }: Target["system"]) {
    const { http = "" } = servers[0]!.addresses;
    this.#calls = [new Http2Calls(http), new Http1Calls(http), new Http1Calls(nginx.http)];
  }

  async tryOne(random: Random, index: number, note: (what: string) => void): Promise<string> {
    const good = random.list(4, () => `{"msg":"good ${index}"}`);
    const strange = random.list(4, () => strangeRecord(random));
    const records = random.shuffle([...good, ...strange]);
    const form = random.pick(["array", "values", "lines"] as const);
    const whole = Buffer.from(form === "array" ? `[${records.join()}]` : records.join("\n"));
    const isChanged = whole.length > 0 && random.chance(0.3);
    const body = isChanged ? mutated(random, whole, whole) : whole;
    note(`${form}: ${body.toString("latin1").slice(0, 2_000)}`);
    const isGzip = random.chance(0.2);
    const type = form === "lines" ? "application/x-ndjson" : "application/json";
    const response = await random.pick(this.#calls).send({
      path: "/v1/ingest/structured",
      headers: { "content-type": type, ...(isGzip && { "content-encoding": "gzip" }) },
      pieces: [isGzip ? gzipSync(body) : body],
      end: "end",
    });
    const code = readCode(response);
    if (isChanged || records.length === 0) return code;
    const { accepted = 0, rejected = 0 } = JSON.parse(response.body.toString()) as Record<string, number>;
    // Elsewhere a strange value over two lines is two records, and an array is its elements.
    const isCounted = form !== "array" || accepted + rejected === records.length;
    if (accepted < good.length || !isCounted) {
      const printed = response.body.toString().slice(0, 300);
      throw new BrokenPromiseError(`${good.length} good of ${records.length} records: ${printed}`);
    }
    return rejected > 0 ? "taken without some records" : "taken";
  }

  async finish(): Promise<void> {
    for (const calls of this.#calls) calls.close();
  }
}

const names = [
  "time",
  "ts",
  "level",
  "severity",
  "msg",
  "log",
  "logger",
  "trace_id",
  "span",
  "a.b",
  "__proto__",
];

/** What stands where a record belongs. */
function strangeRecord(random: Random): string {
  if (random.chance(0.2)) return value(random, 0);
  const members = random.list(6, () => {
    const key = random.chance(0.2) ? text(random) : `"${random.pick(names)}"`;
    return `${key}:${random.chance(0.3) ? fitting(random) : value(random, 0)}`;
  });
  return `{${members.join()}}`;
}

function fitting(random: Random): string {
  return random.pick([
    '"WARN"',
    "30",
    "1764262862.123",
    '"2026-11-27T17:00:00+01:00"',
    "1764262862123456789",
    '"0af7651916cd43dd8448eb211c80319c"',
    "-9223372036854775808",
  ]);
}
