import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { batchTags } from "#batch/log-tags.ts";
import { firstBadByte } from "#batch/utf8.ts";
import { WireReader } from "#batch/wire-reader.ts";
import { KeyValue, toBigInt, valueKind } from "./any-value.ts";
import { type DeviceNames, toDeviceId, unknownDevice } from "./device-id.ts";
import { otlpLimits } from "./limits.ts";
import { knownMax, resourceTags, scopeTags } from "./otlp-tags.ts";
import type { RecordWriter } from "./record-writer.ts";
import type { Bounds, Group } from "./request-groups.ts";
import { sortAttributes } from "./sort-attributes.ts";

/** What all records of a group share. */
export interface SharedAttributes {
  readonly deviceId: string;
  /** The fields `attributes` of a LogBatch. */
  readonly encoded: Buffer;
  /** Attributes that were left out or changed, because a batch cannot have them as they are. */
  readonly changed: number;
}

/** What a resource comes to, whatever the scope. */
interface ResourceAttributes {
  readonly encoded: Buffer;
  readonly deviceId: string;
  /** Places taken, also by those that were left out. */
  readonly count: number;
  readonly changed: number;
}

/** Attributes that the resources and scopes of a request may still have: left out or not, each costs its reading. */
export interface AttributeBudget {
  left: number;
}

const scopePrefix = "otel.scope.";
/** The attributes that hold what is not an attribute in OpenTelemetry. */
const names = {
  resourceSchemaUrl: "otel.resource.schema_url",
  droppedResourceAttributes: "otel.resource.dropped_attributes_count",
  scopeName: "otel.scope.name",
  scopeVersion: "otel.scope.version",
  scopeSchemaUrl: "otel.scope.schema_url",
  droppedScopeAttributes: "otel.scope.dropped_attributes_count",
  changed: "otlp.changed_attributes",
} as const;

/**
 * Writes the attributes of resource and scope as attributes of a batch, and finds the device in them.
 *
 * An invalid attribute of a batch refuses the batch, and a sender cannot change what its SDK detects: the command line
 * of a Java process is often too long. So a text that is too long is truncated, one that is not UTF-8 or has a NUL is
 * repaired, and what has no valid name, or is one too many, is left out. How many, is an attribute itself.
 */
export class SharedAttributesWriter {
  readonly #records: RecordWriter;
  readonly #deviceNames: DeviceNames;
  readonly #entry = new KeyValue();
  readonly #found: (string | undefined)[];
  /** By the group's `resource`, which all scopes of one ResourceLogs share: a large one is read once, not for each. */
  readonly #resources = new WeakMap<Bounds, ResourceAttributes>();
  #budget: AttributeBudget = { left: 0 };
  #count = 0;
  #changed = 0;

  constructor(records: RecordWriter, deviceNames: DeviceNames) {
    this.#records = records;
    this.#deviceNames = deviceNames;
    this.#found = Array.from({ length: deviceNames.count });
  }

  /** Uses the writer of records from its beginning. Throws InvalidBatchError when the budget is used up. */
  write(bytes: Buffer, group: Group, budget: AttributeBudget): SharedAttributes {
    this.#budget = budget;
    const { writer } = this.#records;
    const resource = this.#resource(bytes, group);
    resource.encoded.copy(writer.buffer);
    writer.position = resource.encoded.length;
    this.#count = resource.count;
    this.#changed = resource.changed;
    this.#readScope(bytes, group);
    if (this.#changed > 0)
      this.#records.attributes.number(batchTags.attributes, names.changed, this.#changed);
    return {
      deviceId: resource.deviceId,
      encoded: sortAttributes(writer.buffer.subarray(0, writer.position)),
      changed: this.#changed,
    };
  }

  #resource(bytes: Buffer, group: Group): ResourceAttributes {
    const known = this.#resources.get(group.resource);
    if (known !== undefined) return known;
    const { writer } = this.#records;
    writer.position = 0;
    this.#count = this.#changed = 0;
    this.#found.fill(undefined);
    this.#readResource(bytes, group);
    const named = this.#found.find((text) => text !== undefined);
    const resource = {
      encoded: Buffer.from(writer.buffer.subarray(0, writer.position)),
      deviceId: named === undefined ? unknownDevice : toDeviceId(named),
      count: this.#count,
      changed: this.#changed,
    };
    this.#resources.set(group.resource, resource);
    return resource;
  }

  #readResource(bytes: Buffer, { resource, resourceSchemaUrl }: Group): void {
    const reader = readerOf(bytes, resource);
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === resourceTags.attributes) this.#attribute(reader, "");
      else if (tag === resourceTags.droppedAttributesCount) {
        reader.varint();
        this.#number(names.droppedResourceAttributes, reader.low >>> 0);
      } else reader.skipUnknown(tag, knownMax.resource);
    }
    this.#text(names.resourceSchemaUrl, bytes, resourceSchemaUrl);
  }

  #readScope(bytes: Buffer, { scope, scopeSchemaUrl }: Group): void {
    const reader = readerOf(bytes, scope);
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === scopeTags.attributes) this.#attribute(reader, scopePrefix);
      else if (tag === scopeTags.name || tag === scopeTags.version) {
        const size = reader.size();
        const bounds = { start: reader.position, end: (reader.position += size) };
        const isLogger = tag === scopeTags.name && size <= limits.loggerBytesMax;
        if (!isLogger)
          this.#text(tag === scopeTags.name ? names.scopeName : names.scopeVersion, bytes, bounds);
      } else if (tag === scopeTags.droppedAttributesCount) {
        reader.varint();
        this.#number(names.droppedScopeAttributes, reader.low >>> 0);
      } else reader.skipUnknown(tag, knownMax.scope);
    }
    this.#text(names.scopeSchemaUrl, bytes, scopeSchemaUrl);
  }

  #attribute(reader: WireReader, prefix: string): void {
    if (--this.#budget.left < 0) {
      const problem = `has more than ${otlpLimits.sharedAttributesMax} attributes of resources and scopes`;
      throw new InvalidBatchError("request", problem);
    }
    const size = reader.size();
    const start = reader.position;
    const { bytes } = reader;
    const entry = this.#entry;
    entry.read(reader, size);
    if (prefix === "") this.#noteDevice(bytes, entry);
    const { keyStart, keyEnd, value } = entry;
    const isNamed =
      keyEnd > keyStart && isText(bytes, keyStart, keyEnd, limits.attributeKeyBytesMax - prefix.length);
    if (!isNamed || !this.#hasRoom()) {
      this.#changed += 1;
    } else if (
      value.kind === valueKind.string &&
      !isText(bytes, value.start, value.end, limits.attributeValueBytesMax)
    ) {
      this.#changed += 1;
      const key = prefix + bytes.toString("utf8", keyStart, keyEnd);
      this.#records.attributes.text(batchTags.attributes, key, repairedText(bytes, value));
    } else {
      const end = reader.position;
      reader.position = start;
      const problem = this.#records.attributes.copy(reader, size, batchTags.attributes, prefix);
      if (problem !== undefined) this.#changed += 1; // it is truncated
      reader.position = end;
    }
  }

  #noteDevice(bytes: Buffer, { keyStart, keyEnd, value }: KeyValue): void {
    const place = this.#deviceNames.find(bytes, keyStart, keyEnd);
    if (place < 0) return;
    const isText = value.kind === valueKind.string && value.start < value.end;
    if (isText) this.#found[place] = bytes.toString("utf8", value.start, value.end);
    else if (value.kind === valueKind.int) this.#found[place] = String(toBigInt(value));
    else this.#found[place] = undefined;
  }

  #text(name: string, bytes: Buffer, { start, end }: Bounds): void {
    if (start === end || !this.#hasRoom()) return;
    const isValid = isText(bytes, start, end, limits.attributeValueBytesMax);
    if (!isValid) this.#changed += 1;
    const text = isValid ? bytes.toString("utf8", start, end) : repairedText(bytes, { start, end });
    this.#records.attributes.text(batchTags.attributes, name, text);
  }

  #number(name: string, value: number): void {
    if (value !== 0 && this.#hasRoom()) this.#records.attributes.number(batchTags.attributes, name, value);
  }

  /** The last place is for the number of those that were changed. */
  #hasRoom(): boolean {
    return ++this.#count < limits.attributesMax;
  }
}

function readerOf(bytes: Buffer, { start, end }: Bounds): WireReader {
  const reader = new WireReader(bytes, "ExportLogsServiceRequest");
  reader.position = start;
  reader.end = end;
  return reader;
}

function isText(bytes: Buffer, start: number, end: number, bytesMax: number): boolean {
  if (end - start > bytesMax) return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return firstBadByte(view, start, end) === end;
}

/** As much of a text as fits, with U+FFFD in place of what PostgreSQL cannot store. */
function repairedText(bytes: Buffer, { start, end }: Bounds): string {
  // A byte that is not UTF-8 becomes three.
  const kept = Math.min(end, start + limits.attributeValueBytesMax);
  const text = Buffer.from(bytes.toString("utf8", start, kept).replaceAll("\0", "\ufffd"));
  if (text.length <= limits.attributeValueBytesMax) return text.toString();
  return text.toString("utf8", 0, limits.attributeValueBytesMax).replace(/\ufffd$/, "");
}
