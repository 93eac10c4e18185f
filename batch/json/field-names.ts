/**
 * The fields of a message by their names in JSON. The names of one message nearly all differ in length, so a name is
 * found by comparing with one or two, and without making a string of it.
 */
export class FieldNames<Field extends number> {
  readonly #byLength: { name: Buffer; field: Field }[][] = [];

  /** As protobuf's JSON takes them: both the proto's snake_case, which is given, and lowerCamelCase. */
  constructor(fields: Readonly<Record<string, Field>>) {
    for (const [name, field] of Object.entries(fields)) {
      const camelCase = name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
      for (const spelling of new Set([name, camelCase])) {
        (this.#byLength[spelling.length] ??= []).push({ name: Buffer.from(spelling), field });
      }
    }
  }

  /** The field whose name is bytes[start, end), or undefined. */
  find(bytes: Buffer, start: number, end: number): Field | undefined {
    const candidates = this.#byLength[end - start];
    if (candidates === undefined) return undefined;
    for (const { name, field } of candidates) {
      if (isAt(bytes, start, name)) return field;
    }
    return undefined;
  }
}

function isAt(bytes: Buffer, start: number, name: Buffer): boolean {
  for (let index = 0; index < name.length; index++) {
    if (bytes[start + index] !== name[index]) return false;
  }
  return true;
}
