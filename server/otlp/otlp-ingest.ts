import { setImmediate as nextTurn } from "node:timers/promises";
import { type OtlpBatch, Transcoder } from "#otlp/transcode.ts";
import { BatchErrorCode } from "#proto/gen/fleetlog/v1/ingest_pb.ts";
import type { BudgetShare } from "../connect/request-budget.ts";
import { type Ingest, toRefusal } from "../ingest.ts";
import type { Outcome, Refusal } from "../outcome.ts";

/** The outcome of one ExportLogsServiceRequest. What is not rejected is on disk, unless the request was refused. */
export interface ExportOutcome {
  /** Records that are not stored; each is in dead_letters. */
  readonly rejected: number;
  /** Why records were rejected, or what was changed; empty if nothing was. */
  readonly message: string;
  readonly refusal?: Refusal;
}

export interface OtlpOptions {
  /** The attributes of a resource that name its device: the first of these that it has. */
  readonly deviceAttributes: readonly string[];
  /** Stores a request once that arrives again, if each of its records has a time. */
  readonly recogniseRetries: boolean;
}

/** Batches of a request that are appended at once. */
const batchesAtOnceMax = 256;
const bytesAtOnceMax = 4 * 1024 * 1024;
/** Transcoding goes on in another turn of the event loop after so much. */
const bytesPerTurnMax = 1024 * 1024;
/** What a batch costs besides its bytes. */
const bytesPerBatch = 4_096;
/** Reasons in a message. */
const reasonsMax = 3;

/** Stores the requests of OpenTelemetry's LogsService. Every transport of it ends here. */
export class OtlpIngest {
  readonly #ingest: Pick<Ingest, "acceptTranscoded">;
  readonly #transcoder: Transcoder;
  readonly #recogniseRetries: boolean;

  constructor(ingest: Pick<Ingest, "acceptTranscoded">, options: OtlpOptions) {
    this.#ingest = ingest;
    this.#transcoder = new Transcoder(options.deviceAttributes);
    this.#recogniseRetries = options.recogniseRetries;
  }

  /**
   * Accepts an encoded ExportLogsServiceRequest. Resolves once all of its batches are on disk, or one could not be: then
   * the sender repeats the request, and those that are on disk are recognised.
   */
  async export(request: Buffer, share: BudgetShare): Promise<ExportOutcome> {
    const outcome = new Outcomes();
    try {
      share.hold(request.length); // once more, as batches
      const batches = await this.#transcode(request);
      let isBegun = false;
      for (const some of inParts(batches)) {
        const outcomes = await Promise.all(
          some.map(({ bytes, isUnique }) =>
            this.#ingest.acceptTranscoded(bytes, isUnique && this.#recogniseRetries, isBegun),
          ),
        );
        for (const [index, one] of outcomes.entries()) outcome.add(some[index]!, one);
        if (outcome.refusal !== undefined) break;
        isBegun = true;
      }
    } catch (error) {
      return { rejected: 0, message: "", refusal: toRefusal(error) };
    }
    return outcome.result();
  }

  async #transcode(request: Buffer): Promise<readonly OtlpBatch[]> {
    const batches: OtlpBatch[] = [];
    let bytes = 0;
    for (const batch of this.#transcoder.transcode(request)) {
      batches.push(batch);
      bytes += batch.bytes.length + bytesPerBatch;
      if (bytes < bytesPerTurnMax) continue;
      bytes = 0;
      await nextTurn();
    }
    return batches;
  }
}

function* inParts(batches: readonly OtlpBatch[]): Generator<readonly OtlpBatch[], void, undefined> {
  let part: OtlpBatch[] = [];
  let bytes = 0;
  for (const batch of batches) {
    part.push(batch);
    bytes += batch.bytes.length;
    if (part.length < batchesAtOnceMax && bytes < bytesAtOnceMax) continue;
    yield part;
    part = [];
    bytes = 0;
  }
  if (part.length > 0) yield part;
}

/** Collects the outcomes of the batches of one request. */
class Outcomes {
  refusal: Refusal | undefined;
  #records = 0;
  #rejected = 0;
  #changed = 0;
  readonly #reasons: string[] = [];

  add({ recordCount, origins, changedAttributes }: OtlpBatch, outcome: Outcome): void {
    const { refusal, rejections } = outcome;
    this.#records += recordCount;
    this.#changed += changedAttributes;
    if (refusal?.code === BatchErrorCode.INVALID_ARGUMENT) {
      // Its neighbours are stored: what cannot be stored as a batch counts as rejected.
      this.#rejected += recordCount;
      this.#note(`records ${origins[0]!.record} and ${recordCount - 1} more: ${refusal.message}`);
      return;
    }
    if (refusal !== undefined) this.refusal ??= refusal;
    this.#rejected += recordCount - (refusal ? recordCount : outcome.accepted);
    for (const { index, reason } of rejections.slice(0, reasonsMax)) {
      const { first, record } = origins.findLast((origin) => origin.first <= index)!;
      this.#note(`record ${record + index - first}: ${reason}`);
    }
  }

  result(): ExportOutcome {
    if (this.refusal !== undefined) return { rejected: 0, message: "", refusal: this.refusal };
    const parts: string[] = [];
    if (this.#rejected > 0) {
      const more = this.#rejected > this.#reasons.length ? "; …" : "";
      parts.push(
        `${this.#rejected} of ${this.#records} records rejected: ${this.#reasons.join("; ")}${more}`,
      );
    }
    if (this.#changed > 0)
      parts.push(`${this.#changed} attributes of resources or scopes exceed a limit: truncated or left out`);
    return { rejected: this.#rejected, message: parts.join(". ") };
  }

  #note(reason: string): void {
    if (this.#reasons.length < reasonsMax) this.#reasons.push(reason);
  }
}
