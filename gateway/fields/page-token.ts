import { createHash } from "node:crypto";
import { InvalidFieldError, show } from "./invalid-field.ts";

/*
 * A page token holds where a page ended and for which query: checksum (4 bytes) ‖ digest of the query (8 bytes)
 * ‖ the position, in base64url. The checksum distinguishes a damaged token from the token of another query. It
 * is no signature: a forged token reads nothing that its maker could not request without one.
 */

/** The position of a page: the sort key of its last row, each value without spaces. */
export type SortKeyValues = readonly string[];

/** `query` is everything that determines the rows and their order; not the page size. */
export function encodePageToken(query: string, position: SortKeyValues): string {
  const body = Buffer.concat([sha256(query).subarray(0, 8), Buffer.from(position.join(" "))]);
  return Buffer.concat([sha256(body).subarray(0, 4), body]).toString("base64url");
}

/** The position inside `token`; undefined for the empty token, the first page. */
export function decodePageToken(query: string, token: string): SortKeyValues | undefined {
  if (token === "") return undefined;
  const bytes = tokenForm.test(token) ? Buffer.from(token, "base64url") : Buffer.alloc(0);
  const body = bytes.subarray(4);
  if (body.length < 8 || !sha256(body).subarray(0, 4).equals(bytes.subarray(0, 4))) {
    throw new InvalidFieldError(
      "page_token",
      `${show(token)}, expected a next_page_token of an earlier response`,
    );
  }
  if (!sha256(query).subarray(0, 8).equals(body.subarray(0, 8))) {
    throw new InvalidFieldError(
      "page_token",
      "belongs to another query: only page_size may differ from the first page",
    );
  }
  return body.subarray(8).toString().split(" ");
}

function sha256(data: string | Uint8Array): Buffer {
  return createHash("sha256").update(data).digest();
}

export const pageTokenCharactersMax = 1024;
const tokenForm = new RegExp(`^[A-Za-z0-9_-]{16,${pageTokenCharactersMax}}$`);
