/** An invalid field of a request, with a message that the caller can act on. */
export class InvalidFieldError extends Error {
  override readonly name = "InvalidFieldError";
  /** The field by its name in the .proto file, such as "page_size". */
  readonly field: string;
  /** The value seen, the problem and the expected form. */
  readonly description: string;

  constructor(field: string, description: string) {
    super(`${field}: ${description}`);
    this.field = field;
    this.description = description;
  }
}

/** A value for an error message: quoted, control characters escaped, at most 40 characters. */
export function show(value: string): string {
  if (value.length <= shownCharactersMax) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, shownCharactersMax).toWellFormed())}…`;
}

const shownCharactersMax = 40;
