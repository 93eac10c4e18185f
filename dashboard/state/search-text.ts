/** The content of the search box, in the gateway's terms. */
export interface SearchText {
  /** One phrase, as a substring. */
  readonly text: string;
  /** Words that must all occur, separated by spaces. */
  readonly words: string;
  /** One phrase or word that must not occur. */
  readonly excludedText: string;
}

/**
 * Reads `eth0 "link down" -ignored`: words in any order, one phrase in quotes, one word or phrase after a
 * minus. A second phrase counts by its words; a second minus belongs to its word, so that nothing typed is
 * ignored.
 */
export function parseSearchText(typed: string): SearchText {
  let text = "";
  let excludedText = "";
  const words: string[] = [];
  for (const [whole, minus, phrase, word] of typed.matchAll(/(-?)(?:"([^"]*)"?|([^\s"]\S*))/g)) {
    const content = (phrase ?? word ?? "").trim();
    if (content === "") continue;
    if (minus === "-" && excludedText === "") excludedText = content;
    else if (minus === "-") words.push(whole);
    else if (phrase !== undefined && text === "") text = content;
    else words.push(...content.split(/\s+/));
  }
  return { text, words: words.join(" "), excludedText };
}

/** The texts to mark in a matching message. */
export function listMarks({ text, words }: SearchText): string[] {
  return [text, ...words.split(" ")].filter((mark) => mark !== "");
}
