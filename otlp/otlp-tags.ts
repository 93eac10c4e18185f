// The tags of opentelemetry.proto.{collector.logs,logs,resource,common}.v1: field number × 8 + wire type.
// https://github.com/open-telemetry/opentelemetry-proto

export const requestTags = { resourceLogs: 0x0a } as const;
export const resourceLogsTags = { resource: 0x0a, scopeLogs: 0x12, schemaUrl: 0x1a } as const;
export const resourceTags = { attributes: 0x0a, droppedAttributesCount: 0x10 } as const;
export const scopeLogsTags = { scope: 0x0a, logRecords: 0x12, schemaUrl: 0x1a } as const;
export const scopeTags = {
  name: 0x0a,
  version: 0x12,
  attributes: 0x1a,
  droppedAttributesCount: 0x20,
} as const;

export const logRecordTags = {
  timeUnixNano: 0x09,
  severityNumber: 0x10,
  severityText: 0x1a,
  body: 0x2a,
  attributes: 0x32,
  droppedAttributesCount: 0x38,
  flags: 0x45,
  traceId: 0x4a,
  spanId: 0x52,
  observedTimeUnixNano: 0x59,
  eventName: 0x62,
} as const;

export const keyValueTags = { key: 0x0a, value: 0x12 } as const;
export const anyValueTags = {
  string: 0x0a,
  bool: 0x10,
  int: 0x18,
  double: 0x21,
  array: 0x2a,
  kvlist: 0x32,
  bytes: 0x3a,
} as const;
/** ArrayValue.values and KeyValueList.values. */
export const valuesTag = 0x0a;

/** The highest field numbers that are known here; a higher one belongs to a later version. */
export const knownMax = {
  request: 1,
  resourceLogs: 3,
  resource: 2,
  scopeLogs: 3,
  scope: 4,
  logRecord: 12,
  keyValue: 2,
  anyValue: 7,
  values: 1,
} as const;
