import type { ClientHttp2Stream } from "node:http2";
import { FrameReader } from "#bench/path/grpc-frame.ts";

export interface PacedOptions {
  readonly nextFrame: () => Buffer;
  readonly batches: number;
  readonly stepMs: number;
  readonly firstAfterMs: number;
  /** `latencyMs` counts from the moment at which the batch was due. */
  readonly onAck: (message: Buffer, latencyMs: number) => void;
}

/**
 * Sends batches when they are due, however many are unacknowledged (open loop): batches that the peer
 * does not read wait in this process, and their wait counts.
 */
export function pacedStream(call: ClientHttp2Stream, options: PacedOptions): Promise<void> {
  const { nextFrame, batches, stepMs, firstAfterMs, onAck } = options;
  return new Promise((resolve, reject) => {
    const startedAt = performance.now() + firstAfterMs;
    const dueAt = (index: number) => startedAt + index * stepMs;
    let sent = 0;
    let acknowledged = 0;
    const tick = () => {
      for (; sent < batches && dueAt(sent) <= performance.now(); sent += 1) call.write(nextFrame());
      if (sent === batches) call.end();
      else setTimeout(tick, Math.max(0, dueAt(sent) - performance.now()));
    };
    const reader = new FrameReader((message) => {
      onAck(message, performance.now() - dueAt(acknowledged));
      acknowledged += 1;
    });
    call.on("data", (chunk: Buffer) => reader.push(chunk));
    call.on("error", reject);
    call.on("close", () =>
      acknowledged === batches
        ? resolve()
        : reject(new Error(`${acknowledged} of ${batches} batches were answered`)),
    );
    tick();
  });
}
