/**
 * The JSON of both transports: lowerCamelCase names, zero values present, int64 as a string, times in RFC 3339.
 * An unknown field is an error: ignoring a misspelt filter would list everything.
 */
export const jsonOptions = { alwaysEmitImplicit: true, ignoreUnknownFields: false };
