/** One line of a log, without its newline. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Of a line that is too long only its beginning. */
  readonly bytes: Buffer;
  readonly byteLength: number;
  /** NULs in a row before it, which a file that was cut while it was written to has; they are left out. */
  readonly skippedNuls: number;
}

const newline = 0x0a;
const nul = 0x00;
const emptyLine = Buffer.alloc(0);

/**
 * Splits what `chunks` yield at each newline (0x0A), byte for byte: a carriage return stays, an empty line is a
 * line, and the last one need not end with a newline. Yields the lines of one chunk together. Of a line longer than
 * `lineBytesMax` only so much is kept, and NULs at its beginning are counted, so memory stays bounded whatever the input.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
): AsyncGenerator<readonly Line[]> {
  let number = 1;
  /** The unfinished line: its pieces so far, up to the limit. */
  let pieces: Buffer[] = [];
  let keptBytes = 0;
  let byteLength = 0;
  let skippedNuls = 0;

  const extend = (piece: Buffer) => {
    let start = 0;
    if (byteLength === 0) while (start < piece.byteLength && piece[start] === nul) start += 1;
    skippedNuls += start;
    byteLength += piece.byteLength - start;
    const kept = piece.subarray(start, start + lineBytesMax - keptBytes);
    keptBytes += kept.byteLength;
    if (kept.byteLength > 0) pieces.push(kept);
  };
  const finish = (): Line => {
    const [first = emptyLine, ...more] = pieces;
    const line = {
      number: number++,
      bytes: more.length > 0 ? Buffer.concat(pieces) : first,
      byteLength,
      skippedNuls,
    };
    pieces = [];
    keptBytes = byteLength = skippedNuls = 0;
    return line;
  };

  for await (const chunk of chunks) {
    const lines: Line[] = [];
    let start = 0;
    for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, start)) {
      extend(chunk.subarray(start, end));
      lines.push(finish());
      start = end + 1;
    }
    if (start < chunk.byteLength) extend(chunk.subarray(start));
    if (lines.length > 0) yield lines;
  }
  if (byteLength > 0 || skippedNuls > 0) yield [finish()];
}
