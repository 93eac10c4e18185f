import { InvalidBatchError } from "#batch/invalid-batch.ts";
import type { NodeRequest } from "#rpc/serve-call.ts";
import type { BudgetShare } from "../connect/request-budget.ts";
import { type Decompressor, TooLargeError } from "../decompressor.ts";

export interface ReadBodyOptions {
  /** Of the body, before and after decompression. */
  readonly bytesMax: number;
  readonly decompressor: Decompressor;
  /** Bounds what all requests hold together. */
  readonly share: BudgetShare;
}

/**
 * Reads the body of a request, in gzip or as it is. Throws {@link TooLargeError}, InvalidBatchError for malformed gzip,
 * DecompressorFullError, what the share throws, and the error of a connection that ended.
 */
export async function readBody(
  request: NodeRequest,
  { bytesMax, decompressor, share }: ReadBodyOptions,
): Promise<Buffer> {
  const announced = Number(request.headers["content-length"] ?? 0);
  if (announced > bytesMax) throw tooLarge(announced, bytesMax);
  // Copied together: as objects of their own, 16 MiB in pieces of a byte would take gigabytes.
  let body = Buffer.alloc(0);
  let bytes = 0;
  for await (const piece of share.read(request as AsyncIterable<Buffer>)) {
    const start = bytes;
    bytes += piece.length;
    if (bytes > bytesMax) throw tooLarge(bytes, bytesMax);
    if (bytes > body.length) {
      const grown = Buffer.allocUnsafe(Math.min(2 * bytes, bytesMax));
      body.copy(grown, 0, 0, start);
      body = grown;
    }
    piece.copy(body, start);
  }
  body = body.subarray(0, bytes);
  if (!isGzip(request)) return body;
  if (body.length === 0) throw new InvalidBatchError("request", "is not valid gzip: it is empty");
  const decompressed = await decompressor.decompress(body, bytesMax);
  share.hold(decompressed.length);
  return decompressed;
}

/** The encodings that {@link readBody} reads; others are refused before. */
export const contentEncodings: ReadonlySet<string> = new Set(["", "identity", "gzip", "x-gzip"]);

export function contentEncoding({ headers }: NodeRequest): string {
  return (headers["content-encoding"] ?? "").trim().toLowerCase();
}

function isGzip(request: NodeRequest): boolean {
  return contentEncoding(request).endsWith("gzip");
}

function tooLarge(bytes: number, bytesMax: number): TooLargeError {
  return new TooLargeError("request", `is at least ${bytes} bytes, the limit is ${bytesMax}`);
}
