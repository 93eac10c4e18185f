import type { Compression } from "@connectrpc/connect/protocol";
import { compressionGzip } from "@connectrpc/connect-node";
import type { Unpacker } from "../decompressor.ts";
import { refusalOf } from "../ingest.ts";
import { refusalError } from "./refusal-error.ts";

/** gzip as connect-node has it, but unpacked in turn with everything else. */
export function createGzip(unpacker: Unpacker): Compression {
  return {
    ...compressionGzip,
    async decompress(bytes, readMaxBytes) {
      try {
        return await unpacker.unpack(bytes, readMaxBytes);
      } catch (error) {
        throw refusalError(refusalOf(error));
      }
    },
  };
}
