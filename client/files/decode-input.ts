import { once } from "node:events";
import type { Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";

/** The format of an input, detected from its first bytes. */
type InputFormat = "text" | "gzip" | "zstd" | "utf-16le" | "utf-16be" | keyof typeof unreadableFormats;

/** Formats often found beside logs that contain no lines, with a command that extracts them. */
const unreadableFormats = {
  xz: "it is packed with xz: xz -dc FILE | fleetlog send …",
  bzip2: "it is packed with bzip2: bzip2 -dc FILE | fleetlog send …",
  zip: "it is a zip archive: unzip -p FILE | fleetlog send …",
  journal: "it is a journal of systemd: journalctl -o short-iso-precise --file FILE | fleetlog send …",
} as const;

/**
 * Decodes an input to UTF-8 text: decompresses gzip and zstd whatever the file's name, converts UTF-16
 * with a byte order mark, and removes the mark. Other bytes pass unchanged, valid UTF-8 or not. It
 * decompresses while reading, so memory stays bounded. Compressed data that is truncated or damaged
 * throws after the text before it; formats without text throw immediately.
 */
export async function* decodeInput(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { format, rest } = await sniff(chunks);
  if (format === "gzip" || format === "zstd") {
    // Concatenated members, as `cat a.gz b.gz` makes them, are one text. Compressed text may have its own
    // byte order mark.
    yield* decodeInput(format === "gzip" ? gunzip(rest) : unzstd(rest));
  } else if (format in unreadableFormats) {
    throw new Error(unreadableFormats[format as keyof typeof unreadableFormats]);
  } else if (format === "text") {
    yield* rest;
  } else {
    const decoder = new TextDecoder(format);
    for await (const chunk of rest) yield Buffer.from(decoder.decode(chunk, { stream: true }));
    yield Buffer.from(decoder.decode());
  }
}

/** Decompresses gzip or zstd, byte for byte. */
export async function* unpack(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { format, rest } = await sniff(chunks);
  yield* format === "gzip" ? gunzip(rest) : unzstd(rest);
}

const signatures: readonly (readonly [format: InputFormat, bytes: readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b, 0x08]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
  ["utf-16le", [0xff, 0xfe]],
  ["utf-16be", [0xfe, 0xff]],
  ["xz", [...Buffer.from("\xfd7zXZ\0", "latin1")]],
  ...Array.from({ length: 9 }, (_, level) => ["bzip2", [...Buffer.from(`BZh${level + 1}1AY&SY`)]] as const),
  ["zip", [...Buffer.from("PK\x03\x04")]],
  ["journal", [...Buffer.from("LPKSHHRH")]],
];
const utf8Mark = Buffer.from([0xef, 0xbb, 0xbf]);
const sniffBytes = Math.max(...signatures.map(([, bytes]) => bytes.length));

function detectFormat(head: Buffer): InputFormat {
  return signatures.find(([, bytes]) => bytes.every((byte, index) => head[index] === byte))?.[0] ?? "text";
}

/** Why a file with this beginning cannot be followed; undefined for text. */
export function whyNotFollowable(head: Buffer): string | undefined {
  const format = detectFormat(head);
  if (format.startsWith("utf-16")) return "it is UTF-16, which can be sent but not followed";
  return format in unreadableFormats
    ? unreadableFormats[format as keyof typeof unreadableFormats]
    : undefined;
}

/**
 * Reads just enough to detect the format. When the first bytes of a pipe match no signature, it does not
 * wait for more.
 */
async function sniff(
  chunks: AsyncIterable<Buffer>,
): Promise<{ format: InputFormat; rest: AsyncIterable<Buffer> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < sniffBytes && mayBeSignature(head)) {
    const next = await iterator.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  const format = detectFormat(head);
  const start = head.subarray(0, 3).equals(utf8Mark) ? 3 : 0;
  return { format, rest: follow(head.subarray(start), iterator) };
}

function mayBeSignature(head: Buffer): boolean {
  return [...signatures.map(([, bytes]) => bytes), [...utf8Mark]].some((bytes) =>
    [...head].every((byte, index) => index >= bytes.length || byte === bytes[index]),
  );
}

async function* follow(head: Buffer, iterator: AsyncIterator<Buffer>): AsyncGenerator<Buffer> {
  try {
    if (head.length > 0) yield head;
    for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

/** So little at once that what it unpacks to, at most 1,032 bytes for each, fits into memory. */
const gzipStepBytes = 4096;

/** By steps, because a stream that fails discards unpacked bytes that are not read yet. */
async function* gunzip(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const unpacker = createGunzip();
  let unpacked: Buffer[] = [];
  unpacker.on("data", (piece: Buffer) => unpacked.push(piece));
  const taken = function* () {
    yield* unpacked;
    unpacked = [];
  };
  try {
    for await (const chunk of chunks) {
      for (let start = 0; start < chunk.length; start += gzipStepBytes) {
        await write(unpacker, chunk.subarray(start, start + gzipStepBytes));
        yield* taken();
      }
    }
    const ended = once(unpacker, "end");
    unpacker.end();
    await ended;
  } catch (error) {
    yield* taken();
    throw error;
  } finally {
    unpacker.destroy();
  }
  yield* taken();
}

function write(stream: Writable, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.once("error", reject);
    stream.write(bytes, (error) => {
      if (error) return reject(error); // the listener stays for the event that follows
      stream.off("error", reject);
      resolve();
    });
  });
}

/** Each step decompresses to at most 32 KiB per byte, so the output of one step fits into memory. */
const zstdStepBytes = 1024;

/** Uses fzstd, because Node's decoder stops after the first frame and silently drops the others. */
async function* unzstd(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let unpacked: Uint8Array[] = [];
  const unpacker = new Decompress((piece) => void unpacked.push(piece));
  const taken = function* () {
    yield* unpacked.map((piece) => Buffer.from(piece));
    unpacked = [];
  };
  for await (const chunk of chunks) {
    for (let start = 0; start < chunk.length; start += zstdStepBytes) {
      unpacker.push(chunk.subarray(start, start + zstdStepBytes));
      yield* taken();
    }
  }
  unpacker.push(new Uint8Array(), true);
  yield* taken();
}
