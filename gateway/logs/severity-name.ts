import { SeveritySchema } from "#proto/gen/fleetlog/v1/log_pb.ts";

/** Of a severity of 0 to 24, as JSON has it: "SEVERITY_ERROR". */
export function severityName(severity: number): string {
  return names.get(severity) ?? String(severity);
}

const names = new Map(SeveritySchema.values.map(({ number, name }) => [number, name]));
