import type { Random } from "#batch/testing/random.ts";
import { reEncodeBytes } from "#batch/testing/re-encode.ts";
import { bytesField } from "#batch/testing/wire.ts";
import type { Sendable, Transport } from "#client/transports/transport.ts";
import { unwrapRequest } from "#server/unwrap-request.ts";

/** Another encoding of the same request: of a PushLogsRequest, or of a StreamLogsRequest with a batch alone. */
export function reEncodeRequest(random: Random, request: Uint8Array): Buffer {
  return bytesField(1, reEncodeBytes(random, unwrapRequest(request).batch));
}

/** What `transport` does, for a device that keeps messages and not bytes: no batch is written twice in the same encoding. */
export function reEncodingTransport(random: Random, transport: Transport): Transport {
  return {
    reportsProgress: transport.reportsProgress,
    getSession: (session, timeoutMs) => transport.getSession(session, timeoutMs),
    close: () => transport.close(),
    open<Batch extends Sendable>(options: Parameters<typeof transport.open<Batch>>[0]) {
      const link = transport.open<Sendable & { readonly kept: Batch }>({
        ...options,
        onAck: ({ kept }, ack) => options.onAck(kept, ack),
      });
      return {
        get inFlightCount() {
          return link.inFlightCount;
        },
        get inFlightBytes() {
          return link.inFlightBytes;
        },
        write(kept: Batch) {
          const request = reEncodeRequest(random, kept.request);
          link.write({ sequence: kept.sequence, request, byteLength: request.length, kept });
        },
        end: () => link.end(),
        cancel: (reason: string) => link.cancel(reason),
      };
    },
  };
}
