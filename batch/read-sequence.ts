import { InvalidBatchError } from "./invalid-batch.ts";
import { limits } from "./limits.ts";
import { batchTags } from "./log-tags.ts";
import { WireReader } from "./wire-reader.ts";

/** Every field of a batch, and twice as many again: what has more is no batch. */
const fieldsMax = 3 * limits.recordsMax;

/**
 * The sequence of a refused batch, so that its acknowledgement can be identified: read from what precedes the first
 * malformed protobuf, and within as many fields as a batch may have. 0n: there is none, or it is not there.
 */
export function readSequence(encoded: Uint8Array): bigint {
  const reader = new WireReader(Buffer.from(encoded.buffer, encoded.byteOffset, encoded.byteLength));
  let sequence = 0n;
  try {
    for (let fields = 0; reader.position < reader.end && fields < fieldsMax; fields++) {
      const tag = reader.tag();
      if (tag !== batchTags.sequence) reader.skip(tag);
      else {
        reader.varint();
        sequence = (BigInt(reader.high >>> 0) << 32n) | BigInt(reader.low >>> 0);
      }
    }
  } catch (error) {
    if (!(error instanceof InvalidBatchError)) throw error; // the answer names what is malformed
  }
  return sequence;
}
