import { crc32 } from "node:zlib";

/**
 * A spool's files consist of frames, each readable without the others:
 *
 *   length of the body, u32 │ CRC-32 of the length and the body, u32 │ body: kind, u8 │ … (all numbers little-endian)
 *
 *   session      1 │ version u8 │ JSON {deviceId, sessionId}                        first in every file
 *   batch        2 │ sequence u64 │ last u64 │ records u32 │ StreamLogsRequest      last > 0: a declaration of drops
 *   settled      3 │ sequence u64                                                  the batch is settled
 *   written      4 │ sequence u64                                                  batches up to this one may have been received
 */
export type Frame =
  | { readonly kind: "session"; readonly deviceId: string; readonly sessionId: string }
  | {
      readonly kind: "batch";
      readonly sequence: bigint;
      readonly droppedUntil: bigint | undefined;
      readonly recordCount: number;
      readonly request: Buffer;
    }
  | { readonly kind: "settled" | "written"; readonly sequence: bigint };

const version = 1;
const headBytes = 8;
const batchHeadBytes = 21;
/** Offset of the request within a batch's frame. */
export const requestOffset = headBytes + batchHeadBytes;
/** A batch is at most 1 MiB; a larger length is corrupt. */
const bodyBytesMax = 2 * 1024 * 1024;

/** The file belongs to another version of Fleetlog and stays untouched. */
class SpoolVersionError extends Error {
  override readonly name = "SpoolVersionError";
}

export function encodeFrame(frame: Frame): Buffer {
  const body = encodeBody(frame);
  if (body.byteLength > bodyBytesMax) {
    throw new RangeError(`a frame of ${body.byteLength} bytes, the limit is ${bodyBytesMax}`);
  }
  const head = Buffer.alloc(headBytes);
  head.writeUInt32LE(body.byteLength, 0);
  head.writeUInt32LE(checksum(head, body), 4);
  return Buffer.concat([head, body]);
}

function encodeBody(frame: Frame): Buffer {
  if (frame.kind === "session") {
    const { deviceId, sessionId } = frame;
    return Buffer.concat([Buffer.from([1, version]), Buffer.from(JSON.stringify({ deviceId, sessionId }))]);
  }
  const head = Buffer.alloc(frame.kind === "batch" ? batchHeadBytes : 9);
  head.writeBigUInt64LE(frame.sequence, 1);
  if (frame.kind !== "batch") {
    head[0] = frame.kind === "settled" ? 3 : 4;
    return head;
  }
  head[0] = 2;
  head.writeBigUInt64LE(frame.droppedUntil ?? 0n, 9);
  head.writeUInt32LE(frame.recordCount, 17);
  return Buffer.concat([head, frame.request]);
}

/** Reads the frame at `offset` and its end; undefined when it is incomplete or damaged. */
export function readFrame(bytes: Buffer, offset: number): { frame: Frame; end: number } | undefined {
  if (offset + headBytes > bytes.byteLength) return undefined;
  const length = bytes.readUInt32LE(offset);
  const end = offset + headBytes + length;
  if (length === 0 || length > bodyBytesMax || end > bytes.byteLength) return undefined;
  const body = bytes.subarray(offset + headBytes, end);
  if (checksum(bytes.subarray(offset), body) !== bytes.readUInt32LE(offset + 4)) return undefined;
  return { frame: decodeBody(body), end };
}

function decodeBody(body: Buffer): Frame {
  const kind = body[0];
  if (kind === 1) return decodeSession(body);
  if (kind === 3) return { kind: "settled", sequence: body.readBigUInt64LE(1) };
  if (kind === 4) return { kind: "written", sequence: body.readBigUInt64LE(1) };
  if (kind !== 2) throw new SpoolVersionError(`a frame of unknown kind ${kind}`);
  const droppedUntil = body.readBigUInt64LE(9);
  return {
    kind: "batch",
    sequence: body.readBigUInt64LE(1),
    droppedUntil: droppedUntil === 0n ? undefined : droppedUntil,
    recordCount: body.readUInt32LE(17),
    request: body.subarray(batchHeadBytes),
  };
}

function decodeSession(body: Buffer): Frame {
  if (body[1] !== version) {
    throw new SpoolVersionError(`format version ${body[1]}, this version of Fleetlog reads ${version}`);
  }
  const { deviceId, sessionId } = JSON.parse(body.subarray(2).toString()) as Record<string, string>;
  return { kind: "session", deviceId: deviceId ?? "", sessionId: sessionId ?? "" };
}

/** Covers the length too: the first four bytes of `head`. */
function checksum(head: Buffer, body: Buffer): number {
  return crc32(body, crc32(head.subarray(0, 4)));
}
