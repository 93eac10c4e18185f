import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { Readable } from "node:stream";
import { test } from "node:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { decodeInput } from "#client/files/decode-input.ts";

const text = "zürich 🌡\nsecond line\r\n";
const utf16 = (bigEndian: boolean) => {
  const bytes = Buffer.from(`\uFEFF${text}`, "utf16le");
  return bigEndian ? bytes.swap16() : bytes;
};

/** What comes out when the input arrives in pieces of this many bytes. */
async function decoded(input: Buffer, pieceBytes: number): Promise<string> {
  const pieces = Array.from({ length: Math.ceil(input.length / pieceBytes) }, (_, index) =>
    input.subarray(index * pieceBytes, (index + 1) * pieceBytes),
  );
  const chunks: Buffer[] = [];
  for await (const chunk of decodeInput(Readable.from(pieces))) chunks.push(chunk);
  return Buffer.concat(chunks).toString("latin1");
}

const asBytes = Buffer.from(text).toString("latin1");
const inputs: readonly [what: string, input: Buffer, wanted: string][] = [
  ["plain text", Buffer.from(text), asBytes],
  ["nothing", Buffer.alloc(0), ""],
  ["one byte that could begin a mark", Buffer.from([0xff]), "\xff"],
  ["text that is not UTF-8", Buffer.from([0xe9, 0x0a]), "\xe9\n"],
  ["a byte order mark of UTF-8", Buffer.from(`\uFEFF${text}`), asBytes],
  ["UTF-16, little-endian", utf16(false), asBytes],
  ["UTF-16, big-endian", utf16(true), asBytes],
  ["gzip", gzipSync(text), asBytes],
  ["several gzip members", Buffer.concat([gzipSync(text), gzipSync(text)]), asBytes + asBytes],
  ["zstd", zstdCompressSync(text), asBytes],
  ["several zstd frames", Buffer.concat([zstdCompressSync(text), zstdCompressSync(text)]), asBytes + asBytes],
  ["UTF-16 within gzip", gzipSync(utf16(false)), asBytes],
];
for (const [what, input, wanted] of inputs) {
  test(`reads ${what}, however it is cut into pieces`, async () => {
    for (const pieceBytes of [1, 2, 3, 7, 1_000]) assert.equal(await decoded(input, pieceBytes), wanted);
  });
}

test("truncated or damaged compressed data is an error, not a shorter text", async () => {
  for (const packed of [gzipSync(text.repeat(1_000)), zstdCompressSync(text.repeat(1_000))]) {
    await assert.rejects(decoded(packed.subarray(0, -5), 50));
    const damaged = Buffer.from(packed);
    damaged.fill(0xaa, 20, 40);
    await assert.rejects(decoded(damaged, 50));
  }
});

test("a format without text is refused with a command that extracts it", async () => {
  for (const [program, args, wanted] of [
    ["xz", ["-c"], /^Error: it is packed with xz: xz -dc FILE \| fleetlog send/],
    ["bzip2", ["-c"], /^Error: it is packed with bzip2: bzip2 -dc /],
    ["bzip2", ["-c1"], /^Error: it is packed with bzip2: /],
  ] as const) {
    const { stdout, error } = spawnSync(program, args, { input: text });
    assert.equal(error, undefined, `${program} is needed by this test`);
    for (const pieceBytes of [1, 1_000]) await assert.rejects(decoded(stdout, pieceBytes), wanted);
  }
  for (const head of ["LPKSHHRH\0\0", "PK\x03\x04\x14\0"])
    await assert.rejects(decoded(Buffer.from(head), 3), /^Error: it is a /);
  for (const head of ["BZh is a word", "PK\n", "LPKS"])
    assert.equal(await decoded(Buffer.from(head), 1), head);
});
