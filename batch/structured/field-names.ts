/*
 * The usual names of the fields of structured logs, in JSON and logfmt. Of several in one record the first of a list
 * that has a valid value counts. Names with a dot also stand for nested objects.
 */

export const messageNames = [
  "message",
  "msg",
  "log",
  "body",
  "Message",
  "MESSAGE",
  "@message",
  "@m",
  "short_message",
  "event",
];
export const timeNames = [
  "time",
  "ts",
  "timestamp",
  "Timestamp",
  "@timestamp",
  "@t",
  "datetime",
  "date",
  "t",
  "eventTime",
  "__REALTIME_TIMESTAMP",
];
export const levelNames = [
  "level",
  "Level",
  "severity",
  "lvl",
  "levelname",
  "log.level",
  "loglevel",
  "LogLevel",
  "PRIORITY",
  "severityText",
  "@l",
  "s",
];
/** Numbers of OpenTelemetry. */
export const severityNumberNames = ["severity_number", "severityNumber", "SeverityNumber"];
export const loggerNames = ["logger", "logger_name", "loggerName", "log.logger", "LoggerName"];
export const traceIdNames = ["trace_id", "traceId", "trace.id", "TraceId", "traceid"];
export const spanIdNames = ["span_id", "spanId", "span.id", "SpanId", "spanid"];
export const eventNames = ["event_name", "eventName", "event.name", "EventName"];
