/** RFC 5424's structured data. */
export interface StructuredData {
  /** Named `id.name`; at most `paramsMax`. */
  readonly params: readonly (readonly [name: Buffer, value: Buffer])[];
  readonly hasMore: boolean;
  /** Behind the data. */
  readonly end: number;
}

const byte = { open: 0x5b, close: 0x5d, quote: 0x22, backslash: 0x5c, equals: 0x3d, space: 0x20, nil: 0x2d };

/** Reads the structured data that begins at `start`; undefined when it is malformed. */
export function readStructuredData(
  bytes: Buffer,
  start: number,
  paramsMax: number,
): StructuredData | undefined {
  const params: [Buffer, Buffer][] = [];
  let hasMore = false;
  /** The text behind the data, if any, follows a space. */
  const endAt = (end: number) =>
    end === bytes.length || bytes[end] === byte.space ? { params, hasMore, end } : undefined;
  if (bytes[start] === byte.nil) return endAt(start + 1);
  let at = start;
  while (bytes[at] === byte.open) {
    const idEnd = findEnd(bytes, at + 1);
    const id = bytes.subarray(at + 1, idEnd);
    at = idEnd;
    while (bytes[at] === byte.space) {
      const nameEnd = findEnd(bytes, at + 1);
      if (bytes[nameEnd] !== byte.equals || bytes[nameEnd + 1] !== byte.quote) return undefined;
      const valueEnd = findQuote(bytes, nameEnd + 2);
      if (valueEnd === undefined) return undefined;
      hasMore ||= params.length === paramsMax;
      if (!hasMore) {
        const name = Buffer.concat([id, dot, bytes.subarray(at + 1, nameEnd)]);
        params.push([name, unescaped(bytes.subarray(nameEnd + 2, valueEnd))]);
      }
      at = valueEnd + 1;
    }
    if (id.length === 0 || bytes[at] !== byte.close) return undefined;
    at += 1;
  }
  return at === start ? undefined : endAt(at);
}

const dot = Buffer.from(".");

function findEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (isName(bytes[at])) at += 1;
  return at;
}

function findQuote(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === byte.quote) return at;
    if (bytes[at] === byte.backslash) at += 1;
  }
  return undefined;
}

/** A backslash before any other character stands for itself. */
function unescaped(value: Buffer): Buffer {
  if (!value.includes(byte.backslash)) return value;
  return Buffer.from(value.toString("latin1").replaceAll(/\\(["\\\]])/g, "$1"), "latin1");
}

function isName(byteAt: number | undefined): boolean {
  if (byteAt === undefined || byteAt <= byte.space) return false;
  return byteAt !== byte.close && byteAt !== byte.equals && byteAt !== byte.quote;
}
