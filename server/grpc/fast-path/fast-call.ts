import type { ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { status } from "@grpc/grpc-js";
import { SlowBodyError } from "../../connect/slow-body.ts";
import { toRefusal } from "../../ingest.ts";
import type { CallHandler, IngestCall, Status } from "../ingest-calls.ts";
import { endsWithinMessage, prefixBytes } from "../message.ts";
import { MessageReader } from "./message-reader.ts";

const responseHeaders = {
  [constants.HTTP2_HEADER_STATUS]: 200,
  [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc+proto",
} as const;

/** No client uses the date, and a header costs 1 µs. */
const sendOptions = { waitForTrailers: true, sendDate: false };

/**
 * One gRPC call on a stream of node:http2. Messages are handed out one at a time, and the connection is read no
 * further while none is wanted. What is sent during one turn of the event loop leaves in one write.
 */
export class FastCall implements IngestCall {
  readonly #stream: ServerHttp2Stream;
  readonly #reader: MessageReader;
  readonly #onStatus: (code: string) => void;
  readonly #deadline: NodeJS.Timeout | undefined;
  readonly #bodyDeadline: NodeJS.Timeout | undefined;
  readonly #unpack: ((packed: Buffer) => Promise<Buffer>) | undefined;
  #isUnpacking = false;
  #handler: CallHandler | undefined;
  #messages: Buffer[] = [];
  #sent: (() => void)[] = [];
  #hasAllPieces = false;
  #isOver = false;

  /** `onStatus` is called once, with the name of the code with which the call ended. */
  constructor(
    stream: ServerHttp2Stream,
    {
      messageBytesMax,
      timeoutMs,
      bodyMsMax,
      unpack,
      onStatus,
      hold,
    }: {
      readonly messageBytesMax: number;
      /** Set when messages may be compressed. */
      readonly unpack: ((packed: Buffer) => Promise<Buffer>) | undefined;
      readonly timeoutMs: number | undefined;
      /** After this time a request that has not arrived is given up; what follows it is cut off. */
      readonly bodyMsMax?: number | undefined;
      readonly onStatus: (code: string) => void;
      /** Asked for the memory of messages that are being read; throws StreamFullError. */
      readonly hold?: ((bytes: number) => void) | undefined;
    },
  ) {
    this.#stream = stream;
    this.#unpack = unpack;
    this.#reader = new MessageReader(messageBytesMax, unpack !== undefined, hold);
    this.#onStatus = onStatus;
    if (timeoutMs !== undefined) {
      const late = { code: status.DEADLINE_EXCEEDED, details: "Deadline exceeded" };
      this.#deadline = setTimeout(() => this.finish(late), timeoutMs);
    }
    if (bodyMsMax !== undefined)
      this.#bodyDeadline = setTimeout(() => this.#endSlowBody(bodyMsMax), bodyMsMax);
    stream.on("close", () => {
      clearTimeout(this.#bodyDeadline);
      this.#close("CANCELLED");
    });
  }

  serve(handler: CallHandler): void {
    this.#handler = handler;
    if (this.#isOver) return;
    const stream = this.#stream;
    stream.on("data", (piece: Buffer) => {
      if (this.#isOver) return;
      this.#reader.push(piece);
      this.read();
    });
    stream.on("end", () => {
      clearTimeout(this.#bodyDeadline);
      this.#hasAllPieces = true;
      this.read();
    });
  }

  open(): void {
    if (!this.#stream.headersSent) this.#stream.respond(responseHeaders, sendOptions);
  }

  /** Hands out what has arrived, for as long as it is wanted, then reads on. */
  read(): void {
    const [reader, handler] = [this.#reader, this.#handler];
    if (handler === undefined || this.#isUnpacking) return;
    try {
      while (handler.wantsMore && !this.#isOver) {
        const message = reader.next();
        if (message === undefined) break;
        if (reader.isPacked) return void this.#handOutUnpacked(message, handler);
        handler.message(message);
      }
    } catch (error) {
      this.#giveUp(error);
      return;
    }
    if (this.#isOver) return;
    if (!handler.wantsMore) this.pause();
    else if (!this.#hasAllPieces) this.#stream.resume();
    else if (reader.isEmpty) handler.complete();
    else this.#giveUp(endsWithinMessage());
  }

  /** Reads no further until the message is unpacked. */
  async #handOutUnpacked(packed: Buffer, handler: CallHandler): Promise<void> {
    this.#isUnpacking = true;
    this.pause();
    try {
      const message = await this.#unpack!(packed);
      if (!this.#isOver) handler.message(message);
    } catch (error) {
      this.#giveUp(error);
      return;
    } finally {
      this.#isUnpacking = false;
    }
    this.read();
  }

  pause(): void {
    this.#stream.pause();
  }

  send(message: Buffer, sent: () => void): void {
    if (this.#isOver) return;
    this.#messages.push(message);
    this.#sent.push(sent);
    if (this.#messages.length === 1) flushAfterThisTurn(this);
  }

  /** Writes what was sent so far. */
  flush(): void {
    const [messages, sent] = [this.#messages, this.#sent];
    if (messages.length === 0 || this.#isGone) return;
    [this.#messages, this.#sent] = [[], []];
    this.open();
    this.#stream.write(withPrefixes(messages), (error) => {
      if (!error) for (const tell of sent) tell();
    });
  }

  finish({ code, details, metadata }: Status, message?: Buffer): void {
    if (this.#isOver) return;
    const stream = this.#stream;
    if (this.#isGone) return this.#close("CANCELLED");
    if (message !== undefined) this.#messages.push(message);
    const trailers = {
      "grpc-status": code,
      ...(details && { "grpc-message": encodeURI(details.toWellFormed()) }),
      ...metadata?.toHttp2Headers(),
    };
    if (stream.headersSent || this.#messages.length > 0) {
      this.open();
      stream.once("wantTrailers", () => stream.sendTrailers(trailers));
      stream.end(withPrefixes(this.#messages));
      this.#messages = [];
    } else {
      stream.respond({ ...responseHeaders, ...trailers }, { endStream: true });
    }
    stream.resume(); // what is still on its way is of no interest
    this.#close(status[code] ?? "UNKNOWN");
  }

  get #isGone(): boolean {
    return this.#stream.destroyed || this.#stream.closed;
  }

  /** Also of a call that was answered before: its sender could keep the stream open forever. */
  #endSlowBody(bodyMsMax: number): void {
    this.#giveUp(new SlowBodyError(bodyMsMax));
    this.#stream.close(constants.NGHTTP2_NO_ERROR);
  }

  #giveUp(error: unknown): void {
    if (!this.#isOver) this.#handler?.unreadable(toRefusal(error));
  }

  #close(code: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    clearTimeout(this.#deadline);
    this.#onStatus(code);
    this.#handler?.closed();
  }
}

function withPrefixes(messages: readonly Buffer[]): Buffer {
  const length = messages.reduce((sum, message) => sum + prefixBytes + message.length, 0);
  const bytes = Buffer.allocUnsafe(length);
  let position = 0;
  for (const message of messages) {
    bytes[position] = 0;
    bytes.writeUInt32BE(message.length, position + 1);
    bytes.set(message, position + prefixBytes);
    position += prefixBytes + message.length;
  }
  return bytes;
}

/** Redis answers for many batches at once: their acks leave together. */
let waiting: FastCall[] = [];

function flushAfterThisTurn(call: FastCall): void {
  if (waiting.push(call) > 1) return;
  setImmediate(() => {
    const calls = waiting;
    waiting = [];
    for (const call of calls) call.flush();
  });
}
