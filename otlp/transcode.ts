import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { batchTags } from "#batch/log-tags.ts";
import { WireReader } from "#batch/wire-reader.ts";
import { type AttributeBudget, SharedAttributesWriter } from "./batch-attributes.ts";
import { DeviceNames } from "./device-id.ts";
import { otlpLimits } from "./limits.ts";
import { scopeLogsTags } from "./otlp-tags.ts";
import { RecordWriter } from "./record-writer.ts";
import { type Bounds, type Group, groupRequest, type ScopeRecords } from "./request-groups.ts";
import { UnreadableWriter } from "./unreadable-writer.ts";

/** A batch made of records of a request. */
export interface OtlpBatch {
  /** An encoded LogBatch without session and sequence. */
  readonly bytes: Buffer;
  readonly recordCount: number;
  /** Whether each record has a time or a log.record.uid, so that only a retry can have the same content. */
  readonly isUnique: boolean;
  /** Where its records come from: from record `first` of the batch on, they are those of the request from `record` on. */
  readonly origins: readonly { readonly first: number; readonly record: number }[];
  /** Attributes of resource and scope that were left out or changed. */
  readonly changedAttributes: number;
}

/** Tag and length of device_id, and the rest of what a batch has beside records and attributes. */
const besideBytesMax = limits.deviceIdBytesMax + 8;

/**
 * Transcodes requests of OpenTelemetry's LogsService to batches, from wire bytes to wire bytes.
 *
 * Cost (Node 24.21, requests of 512 records of 110 bytes with one attribute, CPU): 0.5 µs a record, as much as scan and
 * digest of the same records take.
 */
export class Transcoder {
  readonly #records = new RecordWriter();
  readonly #unreadable = new UnreadableWriter(this.#records);
  readonly #shared: SharedAttributesWriter;

  /** The attributes of a resource that name its device: the first of these that it has. */
  constructor(deviceAttributes: readonly string[]) {
    this.#shared = new SharedAttributesWriter(this.#records, new DeviceNames(deviceAttributes));
  }

  /**
   * The batches of an encoded ExportLogsServiceRequest: one for each resource and scope, and more where a batch would
   * exceed its limits. Equal requests give equal batches. Throws InvalidBatchError for what is no request or exceeds a
   * limit. The caller may do other things between two batches, and transcode other requests.
   */
  *transcode(request: Buffer): Generator<OtlpBatch, void, undefined> {
    let batches = 0;
    let batchBytes = 0;
    const budget = { left: otlpLimits.sharedAttributesMax };
    for (const group of groupRequest(request)) {
      for (const batch of this.#transcodeGroup(request, group, budget)) {
        batchBytes += batch.bytes.length;
        if (++batches > otlpLimits.batchesMax || batchBytes > otlpLimits.batchBytesMax) {
          const most = `${otlpLimits.batchesMax} batches or ${otlpLimits.batchBytesMax} bytes`;
          throw new InvalidBatchError(
            "request",
            `becomes more than ${most}, each with the attributes of its resource`,
          );
        }
        yield batch;
      }
    }
  }

  *#transcodeGroup(
    request: Buffer,
    group: Group,
    budget: AttributeBudget,
  ): Generator<OtlpBatch, void, undefined> {
    const { deviceId, encoded, changed } = this.#shared.write(request, group, budget);
    const device = Buffer.from(deviceId);
    const bytesMax = limits.batchBytesMax - encoded.length - besideBytesMax;
    const reader = new WireReader(request, "ExportLogsServiceRequest");
    const places = recordPlaces(request, group.scopes);
    let place = places.next();
    while (!place.done) {
      // Within this loop nothing else is done: writer and fields serve all requests.
      const { writer, fields } = this.#records;
      const origins: { first: number; record: number }[] = [];
      let recordCount = 0;
      let isUnique = true;
      writer.position = 0;
      writer.field(batchTags.deviceId, device);
      const start = writer.position;
      this.#unreadable.startBatch();
      for (; !place.done && recordCount < limits.recordsMax; place = places.next()) {
        const before = writer.position;
        this.#writeRecord(reader, place.value, bytesMax);
        if (writer.position - start > bytesMax) {
          writer.position = before;
          break;
        }
        const { record } = place.value;
        const last = origins.at(-1);
        if (last === undefined || record - last.record !== recordCount - last.first)
          origins.push({ first: recordCount, record });
        isUnique &&= fields.hasTime || fields.hasUid;
        recordCount += 1;
      }
      const bytes = Buffer.concat([writer.buffer.subarray(0, writer.position), encoded]);
      yield { bytes, recordCount, isUnique, origins, changedAttributes: changed };
    }
  }

  #writeRecord(reader: WireReader, { start, size, logger }: RecordPlace, bytesMax: number): void {
    const { writer, fields } = this.#records;
    const before = writer.position;
    reader.position = start;
    reader.end = start + size;
    fields.read(reader, size);
    let problem: string | undefined;
    if (size > limits.batchBytesMax) {
      problem =
        this.#records.bodyProblem(reader) ??
        `record is more than ${limits.batchBytesMax} bytes, the limit is ${bytesMax}`;
    } else {
      problem = this.#records.write(reader, logger);
      const written = writer.position - before;
      if (written > bytesMax) problem ??= `record is ${written} bytes, the limit is ${bytesMax}`;
    }
    if (problem === undefined) return;
    writer.position = before;
    this.#unreadable.write(reader, logger, problem);
  }
}

/** Where a record lies in the request. */
interface RecordPlace {
  start: number;
  size: number;
  logger: Bounds;
  /** Its place among all records of the request. */
  record: number;
}

/** The records of these ScopeLogs. The same object for each: it holds until the next one is asked for. */
function* recordPlaces(
  request: Buffer,
  scopes: readonly ScopeRecords[],
): Generator<RecordPlace, void, undefined> {
  const reader = new WireReader(request, "ExportLogsServiceRequest");
  const place: RecordPlace = { start: 0, size: 0, logger: { start: 0, end: 0 }, record: 0 };
  for (const { start, end, logger, firstRecord } of scopes) {
    reader.position = start;
    reader.end = end;
    place.logger = logger;
    place.record = firstRecord - 1;
    while (reader.position < reader.end) {
      const tag = reader.tag();
      if (tag !== scopeLogsTags.logRecords) {
        reader.skip(tag); // was read before
        continue;
      }
      place.size = reader.size();
      place.start = reader.position;
      place.record += 1;
      yield place;
      reader.position = place.start + place.size;
    }
  }
}
