const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * A text as it has to be stored, found by trial: U+FFFD for up to three bytes at either end that are a piece of some
 * character. undefined: it has to be rejected.
 */
export function decodeCut(bytes: Uint8Array): { text: string; isCut: boolean } | undefined {
  for (const before of [0, 1, 2, 3]) {
    if (!bytes.subarray(0, before).every(isContinuation)) break;
    for (const behind of [0, 1, 2, 3]) {
      if (before + behind > bytes.length) break;
      if (!isBeginning(bytes.subarray(bytes.length - behind))) continue;
      const text = decode(bytes.subarray(before, bytes.length - behind));
      if (text === undefined) continue;
      const isCut = before + behind > 0;
      return { text: `${before > 0 ? "\uFFFD" : ""}${text}${behind > 0 ? "\uFFFD" : ""}`, isCut };
    }
  }
  return undefined;
}

/** Whether the bytes become one character when others follow. */
function isBeginning(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true;
  const rests = [
    [],
    [0x80],
    [0x80, 0x80],
    [0xbf],
    [0xbf, 0x80],
    [0xbf, 0x80, 0x80],
    [0x90, 0x80, 0x80],
    [0x8f, 0x80, 0x80],
  ];
  return rests.some((rest) => {
    const text = rest.length === 0 ? undefined : decode(Uint8Array.from([...bytes, ...rest]));
    return text !== undefined && Array.from(text).length === 1;
  });
}

function isContinuation(byte: number): boolean {
  return byte >= 0x80 && byte <= 0xbf;
}

/** undefined: not UTF-8, or with a NUL. */
function decode(bytes: Uint8Array): string | undefined {
  try {
    const text = utf8.decode(bytes);
    return text.includes("\0") ? undefined : text;
  } catch {
    return undefined;
  }
}
