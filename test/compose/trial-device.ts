import { setTimeout as sleep } from "node:timers/promises";
import { DeviceStream } from "#client/stream/device-stream.ts";
import { encodeRecord } from "#client/stream/record.ts";

/** What has become of the records so far. */
export interface TrialDevice {
  readonly acknowledged: number;
  readonly delayed: number;
  readonly reconnects: number;
  /** Resolves when everything sent has its ack; rejects when the stream failed. */
  stop(): Promise<void>;
  /** Ends at once, whatever has no ack yet. */
  abandon(): void;
}

/** A device that streams a batch of 10 records every 20 ms until it is stopped. */
export function startTrialDevice(deviceId: string, address: string): TrialDevice {
  const seen = { acknowledged: 0, delayed: 0, reconnects: 0 };
  const stream = new DeviceStream({
    deviceId,
    address,
    onAcknowledged: (_batch, ack) => (seen.acknowledged += ack.accepted),
    onDelayed: () => (seen.delayed += 1),
    onReconnect: () => (seen.reconnects += 1),
  });
  const stopping = new AbortController();
  const sending = sendUntil(stopping.signal, stream);
  sending.catch(() => {}); // stop() reports it
  return Object.assign(seen, {
    stop: async () => {
      stopping.abort();
      await sending;
      stream.close();
    },
    abandon: () => stream.close(),
  });
}

async function sendUntil(stopped: AbortSignal, stream: DeviceStream): Promise<void> {
  for (let batch = 0; !stopped.aborted; batch += 1) {
    const records = Array.from({ length: 10 }, (_, index) =>
      encodeRecord({ severity: 9, logger: "trial", message: `record ${index} of batch ${batch}` }),
    );
    await stream.send(records, undefined);
    await sleep(20);
  }
  await stream.flush(60_000);
}
