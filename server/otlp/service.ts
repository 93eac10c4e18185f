/** The service of OTLP/gRPC for logs, and its one method. */
export const logsService = "opentelemetry.proto.collector.logs.v1.LogsService";
export const exportMethod = "Export";

const otherSignals = /^\/opentelemetry\.proto\./;

/** Whether the path is one of OpenTelemetry's for something else than logs. */
export function isOtherSignal(path: string): boolean {
  return otherSignals.test(path);
}

export function logsOnly(path: string): string {
  return `${path.slice(0, 100)}: Fleetlog stores logs only, by /${logsService}/${exportMethod} or POST /v1/logs`;
}
