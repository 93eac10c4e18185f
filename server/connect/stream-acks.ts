import { Code, ConnectError } from "@connectrpc/connect";
import { BatchPipeline, type SharedRoom } from "../batch-pipeline.ts";
import type { OpenStream, OpenStreams } from "../open-streams.ts";
import type { Verdict } from "../verdict.ts";
import { sendersMistake } from "./refusal-error.ts";

export interface StreamAcksOptions {
  readonly accept: (batch: Uint8Array) => Promise<Verdict>;
  readonly openStreams: OpenStreams;
  readonly room: SharedRoom;
}

/** One stream: batches in, the verdicts out in their order, many under way (see BatchPipeline). */
export async function* streamAcks(
  batches: AsyncIterable<Uint8Array>,
  { accept, openStreams, room }: StreamAcksOptions,
): AsyncIterable<Verdict> {
  if (openStreams.isEnding) throw serverStopping();
  /** Verdicts that are due, and what to do when something changed. */
  const due: { verdict: Verdict; sent: () => void }[] = [];
  let ended: ConnectError | "complete" | undefined;
  let changed = Promise.withResolvers<void>();
  const wake = () => {
    changed.resolve();
    changed = Promise.withResolvers();
  };
  let roomAgain = Promise.withResolvers<void>();
  const pipeline = new BatchPipeline({
    accept,
    deliver(verdict, sent) {
      due.push({ verdict, sent });
      wake();
    },
    onRoom: () => roomAgain.resolve(),
    room,
  });
  const end = (how: ConnectError | "complete") => {
    ended ??= how;
    wake();
  };
  const stream: OpenStream = {
    async end() {
      end(serverStopping());
      await pipeline.whenIdle();
    },
  };
  openStreams.add(stream);

  const read = async () => {
    try {
      for await (const batch of batches) {
        if (ended !== undefined) return;
        pipeline.push(batch);
        if (!pipeline.isFull) continue;
        roomAgain = Promise.withResolvers();
        await roomAgain.promise;
      }
      await pipeline.whenIdle();
      end("complete");
    } catch (error) {
      await pipeline.whenIdle();
      const reason = ConnectError.from(error);
      end(sendersMistake(reason.code, reason.rawMessage) ?? reason);
    }
  };

  try {
    void read(); // every way it ends is told by `end`
    for (;;) {
      const wait = changed.promise;
      for (let next = due.shift(); next !== undefined; next = due.shift()) {
        yield next.verdict;
        next.sent(); // asked for the next one: this one is with the connection
      }
      if (ended !== undefined && pipeline.isIdle) break;
      await wait;
    }
    if (ended !== "complete") throw ended;
  } finally {
    end("complete"); // the device may have gone in the middle
    pipeline.abandon();
    roomAgain.resolve();
    openStreams.remove(stream);
  }
}

function serverStopping(): ConnectError {
  return new ConnectError("the server is stopping: connect again", Code.Unavailable);
}
