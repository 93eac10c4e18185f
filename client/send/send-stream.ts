import { type Origin, stretchOf } from "#client/files/read-inputs.ts";
import type { SendOptions } from "#client/send/send.ts";
import type { Output, SendReport } from "#client/send/send-report.ts";
import type { SpoolOptions } from "#client/spool/spool.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";

/** A server tells the first 100 rejected records of a batch. */
const moreRejected = "more records of the batch are rejected";

interface Listeners {
  readonly report: SendReport;
  readonly output: Output;
  readonly onFailed: () => void;
  /** Of the spool. */
  readonly spool?: Omit<SpoolOptions, "folder">;
}

/** The stream of `fleetlog send`, which tells the report what becomes of each batch. Throws SpoolError. */
export function openSendStream(
  options: SendOptions,
  { report, output, onFailed, spool }: Listeners,
): DeviceStream<Origin> {
  return new DeviceStream<Origin>({
    deviceId: options.deviceId,
    sessionId: options.sessionId,
    address: options.address,
    credentials: options.credentials,
    giveUpAfterMs: options.giveUpAfterMs,
    keepUntil: options.keepUntil,
    spool: options.spool === undefined ? undefined : { folder: options.spool, ...spool },
    earlier: {
      onAcknowledged: ({ recordCount, sequence }, { accepted, rejections }) => {
        report.acknowledgeEarlier(accepted);
        for (const { index, reason } of rejections)
          report.refuseEarlier(sequence, 1, `record ${index}: ${reason}`);
        const untold = recordCount - accepted - rejections.length;
        if (untold > 0) report.refuseEarlier(sequence, untold, `${untold} ${moreRejected}`);
      },
      onRefused: ({ recordCount, sequence }, { message }) =>
        report.refuseEarlier(sequence, recordCount, message),
    },
    onSpoolProblem: (problem) => output.problem(`spool: ${problem}`),
    onAcknowledged: ({ note }, ack) => {
      for (const { index, reason } of ack.rejections) report.refuse(stretchOf(note, index, index), reason);
      const untold = ack.rejected - ack.rejections.length;
      if (untold > 0) report.refuse({ ...stretchOf(note), lineCount: untold }, moreRejected);
      report.acknowledge(ack.accepted);
    },
    onRefused: ({ note }, error) => report.refuse(stretchOf(note), error.message),
    onDelayed: (_batch, error) => report.delay(error.message),
    onReconnect: (failure) => report.reconnect(failure),
    onFailed,
  });
}
