import { gzipSync } from "node:zlib";
import { mutated } from "#batch/testing/mutated.ts";
import type { Random } from "#batch/testing/random.ts";
import { encodeOtlp, type OtlpRequest } from "#otlp/testing/otlp.ts";
import { randomOtlp, randomOtlpRecord } from "#otlp/testing/random-otlp.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";
import { Http1Calls, Http2Calls } from "../http-calls.ts";
import { readCode } from "../response.ts";
import type { Target } from "../target.ts";

export const otlp: Block = {
  name: "otlp",
  title:
    "OpenTelemetry's requests of any shape, by gRPC and HTTP: no record is lost by what stands beside it",
  countFull: 20_000,
  countSmoke: 250,
  workers: 8,
  start: async ({ system }) => new OtlpRun(system),
};

const exportPath = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
const ways = ["grpc", "protobuf", "json"] as const;

class OtlpRun implements BlockRun {
  readonly #grpc: readonly Http2Calls[];
  readonly #http: readonly (Http1Calls | Http2Calls)[];

  constructor({ servers, nginx }: Target["system"]) {
    const { http = "" } = servers[0]!.addresses;
    this.#grpc = [
      ...servers.map(({ addresses }) => new Http2Calls(addresses["grpc"] ?? "")),
      new Http2Calls(nginx.grpc),
    ];
    this.#http = [new Http2Calls(http), new Http1Calls(http), new Http1Calls(nginx.http)];
  }

  async tryOne(random: Random, index: number, note: (what: string) => void): Promise<string> {
    const good = 1 + random.below(3);
    const request = withRecords(random, index, good);
    const total = countRecords(request);
    const way = random.pick(ways);
    const whole = way === "json" ? Buffer.from(JSON.stringify(request)) : encodeOtlp(request);
    const isChanged = random.chance(0.4);
    const body = isChanged ? mutated(random, whole, encodeOtlp(randomOtlp(random))) : whole;
    note(`${way}: ${JSON.stringify(request).slice(0, 2_000)}${isChanged ? ", damaged" : ""}`);
    const isGzip = random.chance(0.2);
    const packed = isGzip ? gzipSync(body) : body;
    const response = await (way === "grpc"
      ? this.#sendGrpc(random, packed, isGzip)
      : this.#sendHttp(random, way, packed, isGzip));
    const code = readCode(response);
    if (isChanged) return code;
    if (response.status !== 200 || (way === "grpc" && code !== "OK")) {
      throw new BrokenPromiseError(
        `a whole request got ${response.status} ${code} ${response.body.toString("latin1")}`,
      );
    }
    const text = response.body.toString("latin1");
    const [, rejected = "0", seen = String(total)] = /(\d+) of (\d+) records rejected/.exec(text) ?? [];
    if (Number(seen) !== total || Number(rejected) > total - good)
      throw new BrokenPromiseError(`${good} good of ${total} records: ${text.slice(0, 300)}`);
    return rejected === "0" ? "taken" : "taken without some records";
  }

  async finish(): Promise<void> {
    for (const calls of [...this.#grpc, ...this.#http]) calls.close();
  }

  #sendGrpc(random: Random, packed: Buffer, isGzip: boolean) {
    const prefix = Buffer.from([isGzip ? 1 : 0, 0, 0, 0, 0]);
    prefix.writeUInt32BE(packed.length, 1);
    return random.pick(this.#grpc).send({
      path: exportPath,
      headers: {
        "content-type": "application/grpc",
        te: "trailers",
        ...(isGzip && { "grpc-encoding": "gzip" }),
      },
      pieces: [prefix, packed],
      end: "end",
    });
  }

  #sendHttp(random: Random, way: "protobuf" | "json", packed: Buffer, isGzip: boolean) {
    const type = way === "json" ? "application/json" : "application/x-protobuf";
    return random.pick(this.#http).send({
      path: "/v1/logs",
      headers: { "content-type": type, ...(isGzip && { "content-encoding": "gzip" }) },
      pieces: [packed],
      end: "end",
    });
  }
}

/** Any request, with good records among those of its last resource. */
function withRecords(random: Random, index: number, good: number): OtlpRequest {
  const { resourceLogs = [] } = randomOtlp(random);
  const goodRecords = Array.from({ length: good }, () => ({ body: { stringValue: `good ${index}` } }));
  const strange = random.list(3, () => randomOtlpRecord(random));
  const last = { scopeLogs: [{ logRecords: random.shuffle([...goodRecords, ...strange]) }] };
  return { resourceLogs: [...resourceLogs, last] };
}

function countRecords({ resourceLogs = [] }: OtlpRequest): number {
  return resourceLogs
    .flatMap(({ scopeLogs = [] }) => scopeLogs)
    .reduce((sum, { logRecords = [] }) => sum + logRecords.length, 0);
}
