/** The caller's mistake in one field of the request, in words the caller can act on. */
export class InvalidFieldError extends Error {
  override readonly name = "InvalidFieldError";
  /** The field by its name in the .proto file, such as "page_size". */
  readonly field: string;
  /** What is wrong with it, with the value seen and the form wanted. */
  readonly description: string;

  constructor(field: string, description: string) {
    super(`${field}: ${description}`);
    this.field = field;
    this.description = description;
  }
}

/** A value as it may be shown in an error: quoted, control characters escaped, at most 40 characters of it. */
export function show(value: string): string {
  if (value.length <= shownCharactersMax) return JSON.stringify(value);
  return `${JSON.stringify(value.slice(0, shownCharactersMax).toWellFormed())}…`;
}

const shownCharactersMax = 40;
