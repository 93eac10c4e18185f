/** base64, also with the letters for URLs, and without its padding. */
const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/;
const hex = /^[0-9A-Fa-f]+$/;

/**
 * Reads an id of `size` bytes: in hex, as OTLP writes it in JSON, or in base64, as protobuf does. No text is both, for
 * they differ in length. Empty without text; undefined for what is no id.
 */
export function readId(text: string, size: number): Buffer | undefined {
  if (text === "") return Buffer.alloc(0);
  if (text.length === 2 * size) return hex.test(text) ? Buffer.from(text, "hex") : undefined;
  const unpadded = Math.ceil((size * 4) / 3);
  const hasItsLength = text.length === unpadded || text.length === 4 * Math.ceil(size / 3);
  if (!hasItsLength || !base64.test(text)) return undefined;
  const id = Buffer.from(text, "base64");
  return id.length === size ? id : undefined;
}

/** The forms that {@link readId} takes, for a message. */
export function idForms(size: number): string {
  return `${2 * size} hex digits, or ${size} bytes in base64`;
}
