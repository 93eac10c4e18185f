import { gzipSync } from "node:zlib";
import type { DescMessage } from "@bufbuild/protobuf";
import type { Random } from "#batch/testing/random.ts";
import { QueryService } from "#proto/gen/fleetlog/v1/query_pb.ts";
import { largeValue, texts, values } from "./query-values.ts";

/** One request of HTTP/1.1 as it goes over the wire, each character a byte. */
export function randomQuery(random: Random): string {
  return random.pick([restRequest, restRequest, postRequest, getRequest, oddRequest])(random);
}

const methods = QueryService.methods.filter(({ methodKind }) => methodKind === "unary");

const restPaths: readonly (readonly [path: string, input: DescMessage])[] = [
  ["/v1/logs", QueryService.method.listLogs.input],
  ["/v1/histogram", QueryService.method.getHistogram.input],
  ["/v1/statistics", QueryService.method.getStatistics.input],
  ["/v1/field-values", QueryService.method.listFieldValues.input],
  ["/v1/devices", QueryService.method.listDevices.input],
  ["/v1/devices/good", QueryService.method.getDevice.input],
  ["/v1/dead-letters", QueryService.method.listDeadLetters.input],
  ["/v1/incidents", QueryService.method.listIncidents.input],
];

function restRequest(random: Random): string {
  const [path, input] = random.pick(restPaths);
  const parameters = random.list(5, () => {
    const { name } = random.pick(input.fields);
    return `${escaped(random, random.chance(0.95) ? name : random.pick(texts))}=${escaped(random, random.pick(texts))}`;
  });
  return head(random, "GET", `${path}?${parameters.join("&")}`);
}

function postRequest(random: Random): string {
  const { name, input } = random.pick(methods);
  const json = Buffer.from(toJson(random, input));
  const isPacked = random.chance(0.1);
  const body = (isPacked ? gzipSync(json) : json).toString("latin1");
  const contentType = random.chance(0.9)
    ? "application/json"
    : random.pick([
        "application/proto",
        "application/grpc-web+json",
        "text/plain",
        "application/json; charset=latin1",
      ]);
  return head(
    random,
    "POST",
    `/fleetlog.v1.QueryService/${name}`,
    [
      `Content-Type: ${contentType}`,
      `Content-Length: ${random.chance(0.97) ? body.length : random.pick([0, body.length + 5, -1, 1e20])}`,
      ...(isPacked ? ["Content-Encoding: gzip"] : []),
      ...(random.chance(0.05) ? [`Content-Encoding: ${random.pick(["gzip", "br", "x"])}`] : []),
      ...(random.chance(0.05)
        ? [`Connect-Timeout-Ms: ${random.pick(["0", "1", "-5", "x", "99999999999"])}`]
        : []),
    ],
    body,
  );
}

function getRequest(random: Random): string {
  const { name, input } = random.pick(methods);
  const json = toJson(random, input);
  const message = random.chance(0.3)
    ? Buffer.from(json).toString("base64url")
    : encodeURIComponent(json.toWellFormed());
  const parts = [
    `encoding=${random.pick(["json", "json", "json", "proto", "x", ""])}`,
    `message=${message}`,
    ...(random.chance(0.3) ? [`base64=${random.pick(["1", "1", "0", "x"])}`] : []),
    ...(random.chance(0.1) ? [`compression=${random.pick(["gzip", "br", "identity", "x"])}`] : []),
    ...(random.chance(0.5) ? [`connect=${random.pick(["v1", "v2", ""])}`] : []),
  ];
  return head(random, "GET", `/fleetlog.v1.QueryService/${name}?${random.shuffle(parts).join("&")}`);
}

/** What hardly is HTTP. */
function oddRequest(random: Random): string {
  const path = random.pick([
    "*",
    "",
    "/../../etc/passwd",
    "/v1/logs/../devices",
    "//v1//logs",
    "http://a b/",
    "http://[::1",
    "/v1/devices/%ff%fe",
    `/v1/devices/${"x".repeat(200)}`,
    "/v1/devices/",
    "/%00",
    "/?".repeat(3_000),
    `/${"a/".repeat(4_000)}`,
    "/assets/../../package.json",
    "/v1/logs#x",
    "/\u00ff\u00fe",
    "/livez?x",
    "/fleetlog.v1.QueryService/",
    "/health",
    "/devices/%2e%2e",
  ]);
  const method = random.pick(["GET", "GET", "HEAD", "OPTIONS", "PUT", "TRACE", "CONNECT", "FOO", "get", ""]);
  return head(
    random,
    method,
    path,
    random.list(3, () =>
      random.pick([
        "Accept: text/html",
        'If-None-Match: "',
        "Range: bytes=0-,-1",
        "Expect: 100-continue",
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: gzip, chunked",
        "Content-Length: 5",
        "Upgrade: h2c",
        "X-A: \u00ff\u0001",
        "No colon",
        " folded",
        `X-Long: ${"y".repeat(20_000)}`,
        `Accept-Encoding: ${"gzip,".repeat(50)}`,
        ": empty",
      ]),
    ),
  );
}

/** `Connection: close`, so that the end of the answer is seen. */
function head(
  random: Random,
  method: string,
  path: string,
  headers: readonly string[] = [],
  body = "",
): string {
  const version = random.chance(0.98) ? "HTTP/1.1" : random.pick(["HTTP/1.0", "HTTP/2.0", "HTTP/9", "", "X"]);
  const host = random.chance(0.97)
    ? "Host: localhost"
    : random.pick(["Host: [", "Host: a b", "Host:", "Hos: x", "Host: %%%:x", "Host: a\r\nHost: b"]);
  return [`${method} ${path} ${version}`, host, "Connection: close", ...headers, "", body].join("\r\n");
}

function toJson(random: Random, input: DescMessage): string {
  const fields = random.list(5, () => {
    const { jsonName } = random.pick(input.fields);
    return [
      random.chance(0.95) ? jsonName : random.pick(texts),
      random.chance(0.1) ? largeValue(random) : random.pick<unknown>([...texts, ...values]),
    ] as const;
  });
  const json = JSON.stringify(Object.fromEntries(fields));
  if (random.chance(0.9)) return json;
  const at = random.below(json.length + 1);
  return (
    json.slice(0, at) +
    random.pick(["{", '"', "\\", ",", "", "\u0000", "[".repeat(3_000), "é"]) +
    json.slice(at + random.below(3))
  );
}

function escaped(random: Random, text: string): string {
  return random.chance(0.95) ? encodeURIComponent(text.toWellFormed()) : text.replaceAll(/[\s\0]/g, "+");
}
