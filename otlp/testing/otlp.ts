import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

/** An AnyValue in OTLP's JSON. */
export interface OtlpValue {
  readonly stringValue?: string;
  readonly boolValue?: boolean;
  readonly intValue?: bigint | number | string;
  readonly doubleValue?: number;
  readonly bytesValue?: string;
  readonly arrayValue?: { readonly values: readonly OtlpValue[] };
  readonly kvlistValue?: { readonly values: readonly OtlpAttribute[] };
}

export interface OtlpAttribute {
  readonly key: string;
  readonly value?: OtlpValue;
}

export interface OtlpRecord {
  readonly timeUnixNano?: string;
  readonly observedTimeUnixNano?: string;
  readonly severityNumber?: number;
  readonly severityText?: string;
  readonly body?: OtlpValue;
  readonly attributes?: readonly OtlpAttribute[];
  readonly droppedAttributesCount?: number;
  readonly flags?: number;
  /** In hex. */
  readonly traceId?: string;
  readonly spanId?: string;
  readonly eventName?: string;
}

export interface OtlpScope {
  readonly name?: string;
  readonly version?: string;
  readonly attributes?: readonly OtlpAttribute[];
  readonly droppedAttributesCount?: number;
}

export interface OtlpScopeLogs {
  readonly scope?: OtlpScope;
  readonly schemaUrl?: string;
  readonly logRecords?: readonly OtlpRecord[];
}

export interface OtlpResourceLogs {
  readonly resource?: {
    readonly attributes?: readonly OtlpAttribute[];
    readonly droppedAttributesCount?: number;
  };
  readonly schemaUrl?: string;
  readonly scopeLogs?: readonly OtlpScopeLogs[];
}

/** An ExportLogsServiceRequest in OTLP's JSON. */
export interface OtlpRequest {
  readonly resourceLogs?: readonly OtlpResourceLogs[];
}

/** The request as protobuf, written field by field after opentelemetry-proto. */
export function encodeOtlp(request: OtlpRequest): Buffer {
  const writer = new BinaryWriter();
  for (const resourceLogs of request.resourceLogs ?? []) {
    nested(writer, 1, () => {
      const { resource, schemaUrl, scopeLogs = [] } = resourceLogs;
      if (resource) {
        nested(writer, 1, () => {
          writeAttributes(writer, 1, resource.attributes);
          if (resource.droppedAttributesCount) varint(writer, 2, resource.droppedAttributesCount);
        });
      }
      for (const one of scopeLogs) nested(writer, 2, () => writeScopeLogs(writer, one));
      if (schemaUrl) text(writer, 3, schemaUrl);
    });
  }
  return Buffer.from(writer.finish());
}

function writeScopeLogs(writer: BinaryWriter, { scope, schemaUrl, logRecords = [] }: OtlpScopeLogs): void {
  if (scope) {
    nested(writer, 1, () => {
      if (scope.name) text(writer, 1, scope.name);
      if (scope.version) text(writer, 2, scope.version);
      writeAttributes(writer, 3, scope.attributes);
      if (scope.droppedAttributesCount) varint(writer, 4, scope.droppedAttributesCount);
    });
  }
  for (const record of logRecords) nested(writer, 2, () => writeRecord(writer, record));
  if (schemaUrl) text(writer, 3, schemaUrl);
}

function writeRecord(writer: BinaryWriter, record: OtlpRecord): void {
  if (record.timeUnixNano) writer.tag(1, WireType.Bit64).fixed64(record.timeUnixNano);
  if (record.severityNumber) writer.tag(2, WireType.Varint).int32(record.severityNumber);
  if (record.severityText) text(writer, 3, record.severityText);
  const { body } = record;
  if (body) nested(writer, 5, () => writeValue(writer, body));
  writeAttributes(writer, 6, record.attributes);
  if (record.droppedAttributesCount) varint(writer, 7, record.droppedAttributesCount);
  if (record.flags) writer.tag(8, WireType.Bit32).fixed32(record.flags);
  if (record.traceId) writer.tag(9, WireType.LengthDelimited).bytes(Buffer.from(record.traceId, "hex"));
  if (record.spanId) writer.tag(10, WireType.LengthDelimited).bytes(Buffer.from(record.spanId, "hex"));
  if (record.observedTimeUnixNano) writer.tag(11, WireType.Bit64).fixed64(record.observedTimeUnixNano);
  if (record.eventName) text(writer, 12, record.eventName);
}

function writeAttributes(
  writer: BinaryWriter,
  field: number,
  attributes: readonly OtlpAttribute[] = [],
): void {
  for (const { key, value } of attributes) {
    nested(writer, field, () => {
      if (key !== "") text(writer, 1, key);
      if (value) nested(writer, 2, () => writeValue(writer, value));
    });
  }
}

function writeValue(writer: BinaryWriter, value: OtlpValue): void {
  if (value.stringValue !== undefined) text(writer, 1, value.stringValue);
  if (value.boolValue !== undefined) writer.tag(2, WireType.Varint).bool(value.boolValue);
  if (value.intValue !== undefined) writer.tag(3, WireType.Varint).int64(value.intValue);
  if (value.doubleValue !== undefined) writer.tag(4, WireType.Bit64).double(value.doubleValue);
  const { arrayValue, kvlistValue } = value;
  if (arrayValue) {
    nested(writer, 5, () => {
      for (const one of arrayValue.values) nested(writer, 1, () => writeValue(writer, one));
    });
  }
  if (kvlistValue) nested(writer, 6, () => writeAttributes(writer, 1, kvlistValue.values));
  if (value.bytesValue !== undefined) {
    writer.tag(7, WireType.LengthDelimited).bytes(Buffer.from(value.bytesValue, "base64"));
  }
}

function nested(writer: BinaryWriter, field: number, write: () => void): void {
  writer.tag(field, WireType.LengthDelimited).fork();
  write();
  writer.join();
}

function text(writer: BinaryWriter, field: number, value: string): void {
  writer.tag(field, WireType.LengthDelimited).string(value);
}

function varint(writer: BinaryWriter, field: number, value: number): void {
  writer.tag(field, WireType.Varint).uint32(value);
}
