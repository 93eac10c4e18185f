/** The beginning of a message with "#" for all that varies from record to record: numbers and ids. */
export function toPattern(message: string): string {
  return message.slice(0, charactersMax).toWellFormed().replace(variable, "#");
}

/** UUIDs, hexadecimal numbers with and without 0x, and decimal ones with the separators of their parts. */
const variable = new RegExp(
  [
    String.raw`[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`,
    String.raw`0x[0-9a-f]+`,
    // Not the beginning of a hexadecimal number.
    String.raw`[0-9]+(?:[.:,][0-9]+)*(?![0-9a-f])`,
    String.raw`(?<![\p{L}\p{N}_])(?=[a-f]*[0-9])[0-9a-f]{6,}(?![\p{L}\p{N}_])`,
    String.raw`[0-9]+(?:[.:,][0-9]+)*`,
  ].join("|"),
  "giu",
);
const charactersMax = 200;
