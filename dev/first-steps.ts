import { accessSync, constants } from "node:fs";
import type { OtlpListeners } from "#nginx/render.ts";

/** The addresses, and commands to try; each works when pasted into another terminal in this folder. */
export function firstSteps({
  http,
  grpc,
  tls,
  otlp,
  logs,
  data,
  postgres,
  redis,
}: Readonly<Record<"http" | "grpc" | "logs" | "data" | "postgres" | "redis", string>> & {
  tls: string | undefined;
  otlp: OtlpListeners;
}): string {
  const file =
    ["/var/log/dpkg.log", "/var/log/system.log", "/var/log/syslog"].find(isReadable) ?? "README.md";
  const body = JSON.stringify({
    batch: {
      deviceId: "device-1",
      records: [{ severity: "SEVERITY_INFO", logger: "demo", message: "hello, Fleetlog" }],
    },
  });
  const otlpAddresses = [
    otlp.grpcListen && `gRPC ${otlp.grpcListen}`,
    otlp.httpListen && `HTTP http://${otlp.httpListen}`,
  ].filter(Boolean);
  const otlpLine =
    otlpAddresses.length > 0 ? `\n  OpenTelemetry                         ${otlpAddresses.join(", ")}` : "";
  const address = grpc === "127.0.0.1:50051" ? "" : ` --address '${grpc}'`;
  return `  Queries, dashboard, Connect, gRPC-Web http://${http}
  gRPC, and all else over HTTP/2        ${grpc}${tls ? `\n  With TLS                              https://${tls}` : ""}${otlpLine}
  Logs of every part                    ${logs}
  Data                                  ${data}

Try, in another terminal:

  # send one record, as JSON
  curl -sS 'http://${http}/fleetlog.v1.IngestService/PushLogs' -H 'content-type: application/json' \\
    -d '${body}'

  # send a file, line by line
  npx fleetlog send --device host-1${address} ${file}

  # read the newest records
  curl -sS 'http://${http}/v1/logs?page_size=5'

  # the same in SQL, and Redis; their addresses stay from start to start
  psql "$(cat ${quote(postgres)})" -c 'select time, device_id, message from logs order by time desc limit 5'
  redis-cli -u "$(cat ${quote(redis)})" --no-auth-warning info memory
`;
}

/** For a shell. */
function quote(path: string): string {
  return `'${path.replaceAll("'", `'\\''`)}'`;
}

function isReadable(file: string): boolean {
  try {
    accessSync(file, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}
