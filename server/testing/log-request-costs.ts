import { gzipSync } from "node:zlib";
import { bytesField } from "#batch/testing/wire.ts";
import { readOtlpJson } from "#otlp/json/read-json.ts";
import type { CostlyRequest } from "./request-costs.ts";

/** Of each body, before gzip: a quarter of the limit. */
const size = 4 * 1024 * 1024;

/** As many of a piece as fit. */
function filled(head: string, piece: string | Uint8Array, tail: string, countMax = Infinity): Buffer {
  const room = size - head.length - tail.length;
  const count = Math.min(countMax, Math.floor(room / piece.length));
  return Buffer.concat([Buffer.from(head), Buffer.alloc(count * piece.length, piece), Buffer.from(tail)]);
}

function lines(name: string, body: Buffer): CostlyRequest {
  const path = "/v1/ingest/d";
  return { name: `lines: ${name}`, transport: "ingest", path, contentType: "application/x-ndjson", body };
}

function values(name: string, body: Buffer): CostlyRequest {
  return { ...lines(name, body), name: `values: ${name}`, contentType: "application/json" };
}

function otlpJson(name: string, body: Buffer): CostlyRequest {
  const contentType = "application/json";
  return { name: `OTLP JSON: ${name}`, transport: "otlp", path: "/v1/logs", contentType, body };
}

function otlp(name: string, body: Buffer): CostlyRequest[] {
  const path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
  const contentType = "application/x-protobuf";
  return [
    { name: `OTLP: ${name}`, transport: "otlp", path: "/v1/logs", contentType, body },
    { name: `OTLP/gRPC: ${name}`, transport: "otlp-grpc", path, contentType: "application/grpc", body },
  ];
}

function packed(requests: readonly CostlyRequest[]): CostlyRequest[] {
  return requests.map((request) => ({
    ...request,
    name: `${request.name}, gzip`,
    isGzip: true,
    body: gzipSync(request.body),
  }));
}

const line = JSON.stringify({
  ts: 1_764_262_862.5,
  level: "info",
  msg: "connection to the broker lost, again in 5 s",
  host: "pump-17",
  n: 12_345,
  module: "net.mqtt",
});
const record = JSON.stringify({
  timeUnixNano: "1764262862500000000",
  severityNumber: 9,
  body: { stringValue: "connection lost" },
  attributes: [{ key: "module", value: { stringValue: "net.mqtt" } }],
});
const inScope = '{"resourceLogs":[{"scopeLogs":[{"logRecords":[';
const afterScope = "]}]}]}";
const honestOtlp = filled(inScope, `${record},`, record + afterScope);

export const honest: readonly CostlyRequest[] = [
  lines("of a log", filled("", `${line}\n`, "")),
  otlpJson("records", honestOtlp),
  ...otlp("records", readOtlpJson(honestOtlp)),
];

/** A field that is empty, again and again. */
const empties = (field: number) => filled("", Buffer.from([8 * field + 2, 0]), "");
const none = Buffer.alloc(0);
const resourceLogs = (...parts: Uint8Array[]) => Buffer.from(bytesField(1, Buffer.concat(parts)));
const scopeLogs = (...parts: Uint8Array[]) => bytesField(2, Buffer.concat(parts));
const oneRecord = bytesField(2, none);
const manyKeys = (count: number) =>
  JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, index) => [index, 0])));

const plainAttacks: readonly CostlyRequest[] = [
  lines("blank", filled("{}", "\n", "")),
  lines("blank, with spaces", filled("{}", " \r\n", "")),
  lines("{}", filled("", "{}\n", "", 100_000)),
  lines("of one byte", filled("", "x\n", "", 100_000)),
  lines("of one digit", filled("", "1\n", "", 100_000)),
  lines("too many", filled("", "{}\n", "")),
  lines("of 80,000 keys", filled("", `${manyKeys(80_000)}\n`, "")),
  lines("of objects in objects", filled("", '{"a":{"b":{"c":{"d":{}}}}}\n', "", 100_000)),
  values("blank", filled("{}", "\n", "x")),
  values("spaces", filled("", " ", "")),
  values("[{},{},…", filled("[", "{},", "{}]", 99_000)),
  values("[][]…", filled("", "[]", "")),
  values("{}{}… with a broken end", filled("", "{}", "x", 99_000)),
  otlpJson("empty resources", filled('{"resourceLogs":[', "{},", "{}]}")),
  otlpJson("empty scopes", filled('{"resourceLogs":[{"scopeLogs":[', "{},", "{}]}]}")),
  otlpJson("empty records", filled(inScope, "{},", `{}${afterScope}`)),
  otlpJson("empty attributes", filled(`${inScope}{"attributes":[`, "{},", `{}]}${afterScope}`)),
  otlpJson("unknown fields", filled("{", '"a":[],', '"a":1}')),
  ...otlp("empty resources", empties(1)),
  ...otlp("empty scopes", resourceLogs(empties(2))),
  ...otlp("empty records", resourceLogs(scopeLogs(empties(2)))),
  ...otlp("empty attributes of a record", resourceLogs(scopeLogs(bytesField(2, empties(6))))),
  ...otlp("empty attributes of a resource", resourceLogs(bytesField(1, empties(1)), scopeLogs(oneRecord))),
  ...otlp("empty attributes of a scope", resourceLogs(scopeLogs(bytesField(1, empties(3)), oneRecord))),
  ...otlp("resources again and again", resourceLogs(empties(1), scopeLogs(oneRecord))),
  ...otlp("scopes again and again", resourceLogs(scopeLogs(empties(1), oneRecord))),
  ...otlp("names of a scope again and again", resourceLogs(scopeLogs(bytesField(1, empties(1)), oneRecord))),
];

export const attacks: readonly CostlyRequest[] = [...plainAttacks, ...packed(plainAttacks)];
