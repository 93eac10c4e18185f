import { SeveritySchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** The name of a severity of 0 to 24 in JSON: "SEVERITY_ERROR". */
export function severityName(severity: number): string {
  return names.get(severity) ?? String(severity);
}

const names = new Map(SeveritySchema.values.map(({ number, name }) => [number, name]));
