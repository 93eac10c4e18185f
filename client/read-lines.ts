/** One line of a log, without its newline. */
export interface Line {
  /** From 1. */
  readonly number: number;
  /** Where it is too long: absent. */
  readonly bytes?: Buffer;
  readonly byteLength: number;
}

const newline = 0x0a;

/**
 * Splits what `chunks` yield at each newline (0x0A), byte for byte: a carriage return stays, an empty line is a
 * line, and the last one need not end with a newline. Yields the lines of one chunk together. Of a line longer than
 * `lineBytesMax` only the length is kept, so memory stays bounded whatever the input.
 */
export async function* readLines(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
): AsyncGenerator<readonly Line[]> {
  let number = 1;
  /** The unfinished line: its pieces so far, none of them once it is too long. */
  let pieces: Buffer[] = [];
  let pieceBytes = 0;

  const extend = (piece: Buffer) => {
    pieceBytes += piece.byteLength;
    if (pieceBytes > lineBytesMax) pieces = [];
    else if (piece.byteLength > 0) pieces.push(piece);
  };
  const finish = (): Line => {
    const byteLength = pieceBytes;
    const [first, ...more] = pieces;
    const bytes = more.length > 0 ? Buffer.concat(pieces) : (first ?? Buffer.alloc(0));
    pieces = [];
    pieceBytes = 0;
    return byteLength > lineBytesMax
      ? { number: number++, byteLength }
      : { number: number++, bytes, byteLength };
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
  if (pieceBytes > 0) yield [finish()];
}
