/** The parameters of RFC 5424's structured data, named `id.name`, and where it ends, behind a space. */
export interface StructuredData {
  readonly params: readonly (readonly [name: string, value: string])[];
  readonly end: number;
}

const paramsMax = 64;
const byte = { open: 0x5b, close: 0x5d, quote: 0x22, backslash: 0x5c, equals: 0x3d, space: 0x20, nil: 0x2d };

/** Reads the structured data that begins at `start`; undefined when it is malformed. */
export function readStructuredData(bytes: Buffer, start: number): StructuredData | undefined {
  const params: [string, string][] = [];
  if (bytes[start] === byte.nil) return atEnd(bytes, start + 1, params);
  let at = start;
  while (bytes[at] === byte.open) {
    const idEnd = findEnd(bytes, at + 1);
    const id = bytes.toString("utf8", at + 1, idEnd);
    at = idEnd;
    while (bytes[at] === byte.space) {
      const nameEnd = findEnd(bytes, at + 1);
      if (bytes[nameEnd] !== byte.equals || bytes[nameEnd + 1] !== byte.quote) return undefined;
      const valueEnd = findQuote(bytes, nameEnd + 2);
      if (valueEnd === undefined) return undefined;
      if (params.length < paramsMax) {
        const name = `${id}.${bytes.toString("utf8", at + 1, nameEnd)}`;
        params.push([name, unescaped(bytes.toString("utf8", nameEnd + 2, valueEnd))]);
      }
      at = valueEnd + 1;
    }
    if (id === "" || bytes[at] !== byte.close) return undefined;
    at += 1;
  }
  return at === start ? undefined : atEnd(bytes, at, params);
}

/** The text behind the data, if any, follows a space. */
function atEnd(bytes: Buffer, at: number, params: StructuredData["params"]): StructuredData | undefined {
  if (at === bytes.length) return { params, end: at };
  return bytes[at] === byte.space ? { params, end: at + 1 } : undefined;
}

/** Names have 1 to 32 characters in the RFC, and those of some senders more. */
const nameBytesMax = 64;

function findEnd(bytes: Buffer, from: number): number {
  let at = from;
  while (at - from < nameBytesMax && isName(bytes[at])) at += 1;
  return at;
}

function findQuote(bytes: Buffer, from: number): number | undefined {
  for (let at = from; at < bytes.length; at += 1) {
    if (bytes[at] === byte.quote) return at;
    if (bytes[at] === byte.backslash) at += 1;
  }
  return undefined;
}

function unescaped(value: string): string {
  return value.includes("\\") ? value.replaceAll(/\\(["\\\]])/g, "$1") : value;
}

function isName(byteAt: number | undefined): boolean {
  if (byteAt === undefined || byteAt <= byte.space) return false;
  return byteAt !== byte.close && byteAt !== byte.equals && byteAt !== byte.quote;
}
