/**
 * How JSON looks on both transports: lowerCamelCase names, zero values present, int64 as a string, times in RFC 3339. A
 * field that does not exist is a mistake to tell, not to ignore: a misspelt filter would list everything.
 */
export const jsonOptions = { alwaysEmitImplicit: true, ignoreUnknownFields: false };
