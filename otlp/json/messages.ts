import { FieldNames } from "#batch/json/field-names.ts";
import {
  anyValueTags,
  keyValueTags,
  logRecordTags,
  requestTags,
  resourceLogsTags,
  resourceTags,
  scopeLogsTags,
  scopeTags,
  valuesTag,
} from "../otlp-tags.ts";

/** What a field takes in OTLP's JSON. */
type FieldKind =
  | "string"
  | "bool"
  | "int64"
  | "uint32"
  | "fixed32"
  | "fixed64"
  | "double"
  | "severity"
  | "base64"
  | "hex"
  | "message"
  | "messages";

export interface Field {
  readonly name: string;
  readonly kind: FieldKind;
  readonly tag: number;
  /** Of a oneof: an empty or zero value is one. Elsewhere it is as good as absent, and encoders leave it out. */
  readonly isOneof: boolean;
  /** Of a message, or of the messages in a list. */
  readonly message: () => Message;
}

export interface Message {
  readonly fields: readonly Field[];
  /** Their places in `fields`. Names are taken as in JSON and as in the protos. */
  readonly names: FieldNames<number>;
}

type Fields = Readonly<Record<string, readonly [FieldKind, number, (() => Message)?]>>;

function message(fields: Fields, isOneof = false): Message {
  const list = Object.entries(fields).map(([name, [kind, tag, of]]) => ({
    name,
    kind,
    tag,
    isOneof,
    message: of ?? none,
  }));
  const places = Object.fromEntries(list.map(({ name }, place) => [name, place]));
  return { fields: list, names: new FieldNames(places) };
}

function none(): Message {
  throw new Error("this field has no message");
}

const arrayValue = message({ values: ["messages", valuesTag, () => anyValue] });
const keyValueList = message({ values: ["messages", valuesTag, () => keyValue] });
const anyValue: Message = message(
  {
    string_value: ["string", anyValueTags.string],
    bool_value: ["bool", anyValueTags.bool],
    int_value: ["int64", anyValueTags.int],
    double_value: ["double", anyValueTags.double],
    array_value: ["message", anyValueTags.array, () => arrayValue],
    kvlist_value: ["message", anyValueTags.kvlist, () => keyValueList],
    bytes_value: ["base64", anyValueTags.bytes],
  },
  true,
);
const keyValue: Message = message({
  key: ["string", keyValueTags.key],
  value: ["message", keyValueTags.value, () => anyValue],
});

const logRecord = message({
  time_unix_nano: ["fixed64", logRecordTags.timeUnixNano],
  observed_time_unix_nano: ["fixed64", logRecordTags.observedTimeUnixNano],
  severity_number: ["severity", logRecordTags.severityNumber],
  severity_text: ["string", logRecordTags.severityText],
  body: ["message", logRecordTags.body, () => anyValue],
  attributes: ["messages", logRecordTags.attributes, () => keyValue],
  dropped_attributes_count: ["uint32", logRecordTags.droppedAttributesCount],
  flags: ["fixed32", logRecordTags.flags],
  trace_id: ["hex", logRecordTags.traceId],
  span_id: ["hex", logRecordTags.spanId],
  event_name: ["string", logRecordTags.eventName],
});
const scope = message({
  name: ["string", scopeTags.name],
  version: ["string", scopeTags.version],
  attributes: ["messages", scopeTags.attributes, () => keyValue],
  dropped_attributes_count: ["uint32", scopeTags.droppedAttributesCount],
});
const scopeLogs = message({
  scope: ["message", scopeLogsTags.scope, () => scope],
  log_records: ["messages", scopeLogsTags.logRecords, () => logRecord],
  schema_url: ["string", scopeLogsTags.schemaUrl],
});
const resource = message({
  attributes: ["messages", resourceTags.attributes, () => keyValue],
  dropped_attributes_count: ["uint32", resourceTags.droppedAttributesCount],
});
const resourceLogs = message({
  resource: ["message", resourceLogsTags.resource, () => resource],
  scope_logs: ["messages", resourceLogsTags.scopeLogs, () => scopeLogs],
  schema_url: ["string", resourceLogsTags.schemaUrl],
});

/** ExportLogsServiceRequest. */
export const exportRequest = message({
  resource_logs: ["messages", requestTags.resourceLogs, () => resourceLogs],
});
