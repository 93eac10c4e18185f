import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import type { Decompressor } from "../decompressor.ts";
import { toRefusal } from "../ingest.ts";
import type { Refusal } from "../outcome.ts";
import {
  acceptEncoding,
  endsWithinMessage,
  messageBytesMax,
  prefixBytes,
  tooLong,
  unknownEncoding,
} from "./message.ts";
import { refusalStatus } from "./status.ts";

/** Of other methods than those that take batches: names of sessions, of services, of symbols. */
const nameBytesMax = 64 << 10;

const batchMethod = /\/(PushLogs|StreamLogs)$/;

/** What grpc-js gives to the handler in place of a malformed message, after the messages before it. */
export class UnreadableMessage {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    this.refusal = refusal;
  }
}

/**
 * Takes over from grpc-js how a message becomes its bytes. grpc-js unpacks as many messages at once as a connection
 * delivers (500 calls took 1.2 GB from 2 MB), takes a flag that says "compressed" without an encoding for uncompressed,
 * and drops a message that is cut off by the end of its stream. Here a call unpacks a message once the one before it
 * is with its handler, and the process a few at a time.
 */
export function readMessages(unpacker: Decompressor): ServerInterceptor {
  return ({ path, requestStream }, call) => {
    const internals = call as unknown as Internals;
    if (typeof internals.decompressMessage !== "function" || !("readState" in internals.decoder)) {
      throw new Error("this version of @grpc/grpc-js reads messages in another way");
    }
    const takesBatches = batchMethod.test(path);
    const bytesMax = takesBatches ? messageBytesMax : nameBytesMax;
    const isInOrder = takesBatches && requestStream;

    let received = 0;
    let handedOut = 0;
    /** Resolves the messages that wait to be unpacked, by number: the first that waits is the next. */
    const waiting: { readonly number: number; readonly resolve: () => void }[] = [];

    const unpack = async (packed: Buffer, number: number) => {
      if (handedOut < number) await new Promise<void>((resolve) => waiting.push({ number, resolve }));
      try {
        return await unpacker.decompress(packed, bytesMax);
      } catch (error) {
        return unreadable(error);
      }
    };
    const unreadable = (error: unknown): UnreadableMessage => {
      const refusal = toRefusal(error);
      if (isInOrder) return new UnreadableMessage(refusal);
      throw refusalStatus(refusal); // ends the call with it
    };
    internals.decompressMessage = (message, encoding) => {
      const number = received++;
      const [isPacked, content] = [message[0] !== 0, message.subarray(prefixBytes)];
      if (content.length > bytesMax) return unreadable(tooLong(content.length, bytesMax));
      if (!isPacked) return content;
      if (message[0] !== 1 || encoding !== "gzip") return unreadable(unknownEncoding());
      return unpack(content, number);
    };

    const start = internals.start.bind(call);
    internals.start = (listener) => {
      start({
        onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
        onReceiveMessage(message) {
          handedOut += 1;
          if (waiting[0]?.number === handedOut) waiting.shift()?.resolve();
          listener.onReceiveMessage(message);
        },
        onCancel: () => listener.onCancel(),
        onReceiveHalfClose() {
          if (internals.decoder.readState === betweenMessages) return listener.onReceiveHalfClose();
          const refusal = toRefusal(endsWithinMessage());
          if (isInOrder) listener.onReceiveMessage(new UnreadableMessage(refusal));
          else internals.sendStatus(refusalStatus(refusal));
        },
      });
    };
    const sendMetadata = internals.sendMetadata.bind(call);
    internals.sendMetadata = (metadata) => {
      metadata.set("grpc-accept-encoding", acceptEncoding); // grpc-js announces deflate too
      sendMetadata(metadata);
    };
    return call as ServerInterceptingCall; // the innermost call has all of its methods
  };
}

/** Private in grpc-js, but for what ServerInterceptingCall has. Its version is pinned. */
interface Internals extends Pick<ServerInterceptingCall, "start" | "sendStatus" | "sendMetadata"> {
  /** Called for each message, with its prefix; a promise keeps the later ones waiting. */
  decompressMessage(
    message: Buffer,
    encoding: string,
  ): Buffer | UnreadableMessage | Promise<Buffer | UnreadableMessage>;
  readonly decoder: { readonly readState: number };
}

/** StreamDecoder's NO_DATA. */
const betweenMessages = 0;
