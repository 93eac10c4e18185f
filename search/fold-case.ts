/**
 * Lower case as PostgreSQL's pg_c_utf8: each character on its own, to one character. JavaScript's own also
 * depends on the position of a sigma in its word, and makes two characters of a capital I with a dot.
 */
export function foldCase(text: string): string {
  if (isAscii.test(text)) return text.toLowerCase();
  let lower = "";
  for (const character of text) lower += character === "İ" ? "i" : character.toLowerCase();
  return lower;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: all of ASCII
const isAscii = /^[\0-\x7f]*$/;
