const charactersMax = 40;

/**
 * A device's text, fit for a message that people read: in quotes, at most 40 characters, without anything a
 * terminal or PostgreSQL could stumble over. `bytes` need not be UTF-8.
 */
export function quoted(bytes: Buffer): string {
  // Four bytes for each character, so that cutting the bytes never spoils a character that is shown.
  const text = bytes.toString("utf8", 0, 4 * (charactersMax + 1));
  const characters = Array.from(text);
  const shown = characters.slice(0, charactersMax).join("").replaceAll(/\p{C}/gu, escapeUnprintable);
  return `"${shown}"${characters.length > charactersMax ? "…" : ""}`;
}

function escapeUnprintable(character: string): string {
  return `\\u{${character.codePointAt(0)!.toString(16)}}`;
}
