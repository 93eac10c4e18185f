import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Decompressor } from "../decompressor.ts";
import { toRefusal } from "../ingest.ts";
import { refusalError } from "./refusal-error.ts";

/** gzip as connect-node has it, but unpacked in turn with everything else. */
export function createGzip(unpacker: Decompressor): Compression {
  return {
    ...compressionGzip,
    async decompress(bytes, readMaxBytes) {
      try {
        return await unpacker.decompress(bytes, readMaxBytes);
      } catch (error) {
        throw refusalError(toRefusal(error));
      }
    },
  };
}
