import { type CutTexts, decodeText } from "./cut-text.ts";
import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { droppedTags, knownFieldMax } from "./log-tags.ts";
import { textFault } from "./text-fault.ts";
import type { WireReader } from "./wire-reader.ts";

/** What a batch says instead of having records: the batches from its own sequence to this one will never come. */
export interface Dropped {
  readonly lastSequence: bigint;
  readonly reason: string;
}

/** Reads the fields of one encoded Dropped, whose length was read before. */
export function readDropped(
  reader: WireReader,
  text: DataView,
  size: number,
  before: Dropped,
  cuts: CutTexts,
): Dropped {
  const { end } = reader;
  reader.end = reader.position + size;
  let { lastSequence, reason } = before;
  let tagBefore = 0;
  while (reader.position < reader.end) {
    const tag = reader.tag();
    if (tag <= tagBefore) reader.isCanonical = false;
    tagBefore = tag;
    if (tag === droppedTags.lastSequence) {
      reader.varint();
      lastSequence = (BigInt(reader.high >>> 0) << 32n) | BigInt(reader.low >>> 0);
    } else if (tag === droppedTags.reason) {
      const length = reader.size();
      const start = reader.position;
      if (length === 0) reader.isCanonical = false;
      reader.position += length;
      const fault = textFault(text, start, reader.position, limits.droppedReasonBytesMax, cuts);
      if (fault !== undefined) throw new InvalidBatchError("batch.dropped.reason", fault);
      reason = decodeText(reader.bytes, start, reader.position);
    } else {
      reader.skipUnknown(tag, knownFieldMax.dropped);
    }
  }
  if (lastSequence === 0n) reader.isCanonical = false; // it stands for the batch's own
  reader.end = end;
  return { lastSequence, reason };
}

/** The declaration of batch `sequence` with its default filled in; throws when it makes no sense. */
export function checkedDropped(dropped: Dropped, sequence: bigint, recordCount: number): Dropped {
  if (recordCount > 0) {
    throw new InvalidBatchError("batch.dropped", "is set together with records: a batch has either");
  }
  if (sequence === 0n) {
    throw new InvalidBatchError("batch.dropped", "requires session_id and sequence");
  }
  const lastSequence = dropped.lastSequence || sequence;
  if (lastSequence < sequence || lastSequence > limits.sequenceMax) {
    const wanted = `expected ${sequence} (the batch's own) to ${limits.sequenceMax}`;
    throw new InvalidBatchError("batch.dropped.last_sequence", `is ${lastSequence}, ${wanted}`);
  }
  const count = lastSequence - sequence + 1n;
  if (count > limits.droppedBatchesMax) {
    throw new InvalidBatchError(
      "batch.dropped.last_sequence",
      `is ${lastSequence}: that declares ${count} batches as dropped, the limit is ${limits.droppedBatchesMax}`,
    );
  }
  return { lastSequence, reason: dropped.reason };
}
