import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { WireReader } from "#batch/wire-reader.ts";
import { otlpLimits } from "./limits.ts";
import { knownMax, requestTags, resourceLogsTags, scopeLogsTags, scopeTags } from "./otlp-tags.ts";

/** A range of the request's bytes. */
export interface Bounds {
  readonly start: number;
  readonly end: number;
}

/** The records of one ScopeLogs. */
export interface ScopeRecords extends Bounds {
  /** The name of the scope, which is the logger of its records; empty if it is too long for one. */
  readonly logger: Bounds;
  /** How many records of the request come before its first. */
  readonly firstRecord: number;
}

/** What is stored once for all of its records, in as many batches as they need. */
export interface Group {
  readonly resource: Bounds;
  readonly resourceSchemaUrl: Bounds;
  readonly scope: Bounds;
  readonly scopeSchemaUrl: Bounds;
  readonly scopes: ScopeRecords[];
}

const nothing: Bounds = { start: 0, end: 0 };

/**
 * Walks over an encoded ExportLogsServiceRequest without reading its records, and puts together what has the same
 * resource and, but for its name, the same scope: shippers repeat the resource for each record, and loggers differ in
 * their names alone. The order of records with the same logger is kept. Throws InvalidBatchError for what is no request,
 * or is more than the limits allow.
 */
export function groupRequest(bytes: Buffer): readonly Group[] {
  if (bytes.length > otlpLimits.requestBytesMax)
    throw tooMuch(`is ${bytes.length} bytes, the limit is ${otlpLimits.requestBytesMax}`);
  const groups = new Groups(bytes);
  const reader = groups.reader;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag === requestTags.resourceLogs) groups.readResourceLogs(reader.size());
    else reader.skipUnknown(tag, knownMax.request);
  }
  return [...groups.byKey.values()];
}

class Groups {
  readonly reader: WireReader;
  readonly byKey = new Map<string, Group>();
  readonly #resources = new Map<string, number>();
  #records = 0;
  #containers = 0;

  constructor(bytes: Buffer) {
    this.reader = new WireReader(bytes, "ExportLogsServiceRequest");
  }

  readResourceLogs(size: number): void {
    const { reader } = this;
    this.#count();
    const outerEnd = reader.end;
    reader.end = reader.position + size;
    let resource = nothing;
    let schemaUrl = nothing;
    const scopeLogs: Bounds[] = [];
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === resourceLogsTags.scopeLogs) {
        this.#count();
        scopeLogs.push(this.#bounds());
      } else if (tag === resourceLogsTags.resource) resource = this.#single(resource);
      else if (tag === resourceLogsTags.schemaUrl) schemaUrl = this.#single(schemaUrl);
      else reader.skipUnknown(tag, knownMax.resourceLogs);
    }
    if (resource === nothing) resource = { ...nothing }; // an object of its own: what it comes to is remembered by it
    const key = scopeLogs.length > 0 ? this.#resourceKey(resource, schemaUrl) : 0;
    for (const bounds of scopeLogs) this.#readScopeLogs(bounds, key, resource, schemaUrl);
    reader.end = outerEnd;
  }

  /** A number, and not the text itself: a large resource with many scopes would be hashed for each of them. */
  #resourceKey(resource: Bounds, schemaUrl: Bounds): number {
    const text = `${this.#text(resource)}${this.#text(schemaUrl)}`;
    const known = this.#resources.get(text);
    if (known !== undefined) return known;
    this.#resources.set(text, this.#resources.size);
    return this.#resources.size - 1;
  }

  #readScopeLogs(bounds: Bounds, resourceKey: number, resource: Bounds, resourceSchemaUrl: Bounds): void {
    const { reader } = this;
    const [afterwards, outerEnd] = [reader.position, reader.end];
    reader.position = bounds.start;
    reader.end = bounds.end;
    let scope = nothing;
    let scopeSchemaUrl = nothing;
    const firstRecord = this.#records;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag === scopeLogsTags.logRecords) {
        this.#bounds();
        if (++this.#records > otlpLimits.recordsMax)
          throw tooMuch(`has more than ${otlpLimits.recordsMax} records`);
      } else if (tag === scopeLogsTags.scope) scope = this.#single(scope);
      else if (tag === scopeLogsTags.schemaUrl) scopeSchemaUrl = this.#single(scopeSchemaUrl);
      else reader.skipUnknown(tag, knownMax.scopeLogs);
    }
    if (this.#records > firstRecord) {
      const { name, rest } = this.#readScope(scope);
      const isLogger = name.end - name.start <= limits.loggerBytesMax;
      const key = `${resourceKey} ${this.#text(scopeSchemaUrl)}${isLogger ? rest : this.#text(scope)}`;
      const group = this.byKey.get(key) ?? { resource, resourceSchemaUrl, scope, scopeSchemaUrl, scopes: [] };
      group.scopes.push({ ...bounds, logger: isLogger ? name : nothing, firstRecord });
      this.byKey.set(key, group);
    }
    reader.position = afterwards;
    reader.end = outerEnd;
  }

  /** The scope's name, and all but the name as a text. */
  #readScope({ start, end }: Bounds): { readonly name: Bounds; readonly rest: string } {
    const { reader } = this;
    reader.position = start;
    reader.end = end;
    let name = nothing;
    let nameField = { start, end: start };
    while (reader.position < reader.end) {
      const fieldStart = reader.position;
      const tag = reader.tag();
      if (tag === scopeTags.name) {
        name = this.#single(name);
        nameField = { start: fieldStart, end: reader.position };
      } else if (tag === scopeTags.version || tag === scopeTags.attributes) {
        const size = reader.size();
        reader.position += size;
      } else if (tag === scopeTags.droppedAttributesCount) reader.varint();
      else reader.skipUnknown(tag, knownMax.scope);
    }
    const rest = `${this.#text({ start, end: nameField.start })}${this.#text({ start: nameField.end, end })}`;
    return { name, rest };
  }

  /** Of a field that a message has once: the last one counts. Millions of them would cost as much as containers. */
  #single(before: Bounds): Bounds {
    if (before !== nothing) this.#count();
    return this.#bounds();
  }

  #bounds(): Bounds {
    const size = this.reader.size();
    const start = this.reader.position;
    this.reader.position += size;
    return { start, end: start + size };
  }

  /** With its length, so that texts put together cannot be confused. */
  #text({ start, end }: Bounds): string {
    return start === end ? "," : `${end - start},${this.reader.bytes.toString("latin1", start, end)}`;
  }

  #count(): void {
    if (++this.#containers > otlpLimits.groupsMax)
      throw tooMuch(`has more than ${otlpLimits.groupsMax} resources and scopes`);
  }
}

function tooMuch(problem: string): InvalidBatchError {
  return new InvalidBatchError("request", problem);
}
