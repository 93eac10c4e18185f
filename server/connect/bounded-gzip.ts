import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import { later } from "../intake.ts";
import { resourceExhausted } from "../verdict.ts";
import { refusalError } from "./refusal-error.ts";

/** What is unpacked is a thousand times as large as what was sent, at worst: so many at once, the others in turn. */
const unpackedAtOnceMax = 4;
/** More than this are told to come later. */
const waitingMax = 256;

/**
 * gzip, of which only a few requests are unpacked at the same time, each to no more than readMaxBytes. Whoever gets the
 * bytes reads them at once, so they are not kept beside those of the next one.
 */
export function createBoundedGzip(): Compression {
  let unpacking = 0;
  const waiting: (() => void)[] = [];
  const turn = async () => {
    if (unpacking < unpackedAtOnceMax) {
      unpacking += 1;
      return;
    }
    if (waiting.length >= waitingMax) {
      throw refusalError(later(resourceExhausted, `${waitingMax} requests wait to be unpacked`));
    }
    await new Promise<void>((resolve) => waiting.push(resolve));
  };
  return {
    ...compressionGzip,
    async decompress(bytes, readMaxBytes) {
      await turn();
      try {
        return await compressionGzip.decompress(bytes, readMaxBytes);
      } finally {
        const next = waiting.shift();
        if (next === undefined) unpacking -= 1;
        else next();
      }
    },
  };
}
