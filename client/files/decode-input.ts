import { once } from "node:events";
import type { Writable } from "node:stream";
import { createGunzip } from "node:zlib";
import { Decompress } from "fzstd";

/** What an input was found to be, by its first bytes. */
type InputForm = "text" | "gzip" | "zstd" | "utf-16le" | "utf-16be" | keyof typeof notText;

/** What is often beside logs and has no lines, with the way to get at them. */
const notText = {
  xz: "it is packed with xz: xz -dc FILE | fleetlog send …",
  bzip2: "it is packed with bzip2: bzip2 -dc FILE | fleetlog send …",
  zip: "it is a zip archive: unzip -p FILE | fleetlog send …",
  journal: "it is a journal of systemd: journalctl -o short-iso-precise --file FILE | fleetlog send …",
} as const;

/**
 * The bytes of an input as UTF-8 text: gzip and zstd unpacked, whatever its name; UTF-16 with a byte order mark converted; the mark
 * itself left out. All else stays byte for byte, also what is not UTF-8. Unpacks as it reads, so memory stays bounded; compressed
 * data that ends early or is damaged throws, after the text before it, and what holds no text throws at once.
 */
export async function* decodeInput(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { form, rest } = await sniff(chunks);
  if (form === "gzip" || form === "zstd") {
    // Several members one behind the other, as `cat a.gz b.gz` makes them, are one text. Packed text has a mark of its own.
    yield* decodeInput(form === "gzip" ? gunzip(rest) : unzstd(rest));
  } else if (form in notText) {
    throw new Error(notText[form as keyof typeof notText]);
  } else if (form === "text") {
    yield* rest;
  } else {
    const decoder = new TextDecoder(form);
    for await (const chunk of rest) yield Buffer.from(decoder.decode(chunk, { stream: true }));
    yield Buffer.from(decoder.decode());
  }
}

/** What is in gzip or zstd, byte for byte. */
export async function* unpack(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const { form, rest } = await sniff(chunks);
  yield* form === "gzip" ? gunzip(rest) : unzstd(rest);
}

const marks: readonly (readonly [form: InputForm, bytes: readonly number[]])[] = [
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
const sniffBytes = Math.max(...marks.map(([, bytes]) => bytes.length));

function inputForm(head: Buffer): InputForm {
  return marks.find(([, bytes]) => bytes.every((byte, index) => head[index] === byte))?.[0] ?? "text";
}

/** Why a file that begins so cannot be followed; undefined for text. */
export function unfollowable(head: Buffer): string | undefined {
  const form = inputForm(head);
  if (form.startsWith("utf-16")) return "it is UTF-16, which can be sent but not followed";
  return form in notText ? notText[form as keyof typeof notText] : undefined;
}

/** Reads as much as tells the form. A pipe that says less at first is not waited for beyond its first bytes that fit no mark. */
async function sniff(
  chunks: AsyncIterable<Buffer>,
): Promise<{ form: InputForm; rest: AsyncIterable<Buffer> }> {
  const iterator = chunks[Symbol.asyncIterator]();
  let head: Buffer = Buffer.alloc(0);
  while (head.length < sniffBytes && mayBeMark(head)) {
    const next = await iterator.next();
    if (next.done) break;
    head = head.length === 0 ? next.value : Buffer.concat([head, next.value]);
  }
  const form = inputForm(head);
  const start = head.subarray(0, 3).equals(utf8Mark) ? 3 : 0;
  return { form, rest: follow(head.subarray(start), iterator) };
}

function mayBeMark(head: Buffer): boolean {
  return [...marks.map(([, bytes]) => bytes), [...utf8Mark]].some((bytes) =>
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

/** By steps, because a stream that fails discards what it has unpacked and nobody has read yet. */
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
    stream.write(bytes, () => {
      stream.off("error", reject);
      resolve();
    });
  });
}

/** So little at once that what it unpacks to, at most 32 KiB for each byte, fits into memory. */
const zstdStepBytes = 1024;

/** By fzstd, because Node's own decoder ends after the first frame, and drops the others without a word. */
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
