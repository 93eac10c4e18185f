/** OpenTelemetry's 24 severities as six levels, and 0 for unspecified. */
export interface SeverityLevel {
  readonly name: string;
  readonly label: string;
  /** The lowest and the highest severity of the level. */
  readonly from: number;
  readonly to: number;
}

const none: SeverityLevel = { name: "none", label: "–", from: 0, to: 0 };

/** From the least to the most severe. */
export const severityLevels: readonly SeverityLevel[] = [
  none,
  { name: "trace", label: "TRACE", from: 1, to: 4 },
  { name: "debug", label: "DEBUG", from: 5, to: 8 },
  { name: "info", label: "INFO", from: 9, to: 12 },
  { name: "warn", label: "WARN", from: 13, to: 16 },
  { name: "error", label: "ERROR", from: 17, to: 20 },
  { name: "fatal", label: "FATAL", from: 21, to: 24 },
];

export function toLevel(severity: number): SeverityLevel {
  return severityLevels.find(({ from, to }) => severity >= from && severity <= to) ?? none;
}

export function levelNamed(name: string | null): SeverityLevel | undefined {
  return severityLevels.find((level) => level.name === name);
}

/** "ERROR2" for the second degree of ERROR. */
export function severityLabel(severity: number): string {
  const level = toLevel(severity);
  const degree = severity - level.from + 1;
  return degree > 1 ? `${level.label}${degree}` : level.label;
}

export function listSeverities({ from, to }: SeverityLevel): number[] {
  return Array.from({ length: to - from + 1 }, (_, degree) => from + degree);
}
