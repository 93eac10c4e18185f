/** What a value is, by its first byte. */
export const jsonKind = { string: 1, number: 2, object: 3, array: 4, true: 5, false: 6, null: 7 } as const;
export type JsonKind = (typeof jsonKind)[keyof typeof jsonKind];

/** How a message names each kind. */
export const kindNames: Readonly<Record<JsonKind, string>> = {
  1: "a string",
  2: "a number",
  3: "an object",
  4: "an array",
  5: "true",
  6: "false",
  7: "null",
};

/** The kind of a value by its first byte; 0: no value begins with it. */
export const kindByByte = new Uint8Array(256);
for (const [firstBytes, kind] of [
  ['"', jsonKind.string],
  ["-0123456789", jsonKind.number],
  ["{", jsonKind.object],
  ["[", jsonKind.array],
  ["t", jsonKind.true],
  ["f", jsonKind.false],
  ["n", jsonKind.null],
] as const) {
  for (const byte of Buffer.from(firstBytes)) kindByByte[byte] = kind;
}
