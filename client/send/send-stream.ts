import { type Origin, toLineRange } from "#client/files/read-inputs.ts";
import type { SendOptions } from "#client/send/send.ts";
import type { Output, SendReport } from "#client/send/send-report.ts";
import type { SpoolOptions } from "#client/spool/spool.ts";
import { DeviceStream } from "#client/stream/device-stream.ts";

/** A server lists the first 100 rejected records of a batch, if asked to. */
const moreRejected = "more records of the batch are rejected";

interface Listeners {
  readonly report: SendReport;
  readonly output: Output;
  readonly onFailed: () => void;
  /** Of the spool. */
  readonly spool?: Omit<SpoolOptions, "folder">;
}

/** Opens the stream of `fleetlog send`, which reports the outcome of each batch. Throws SpoolError. */
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
    rejectionsMax: 100,
    spool: options.spool === undefined ? undefined : { folder: options.spool, ...spool },
    recovered: {
      onAcknowledged: ({ recordCount, sequence }, { accepted, rejections }) => {
        report.acknowledgeRecovered(accepted);
        for (const { index, reason } of rejections)
          report.refuseRecovered(sequence, 1, `record ${index}: ${reason}`);
        const unreported = recordCount - accepted - rejections.length;
        if (unreported > 0) report.refuseRecovered(sequence, unreported, `${unreported} ${moreRejected}`);
      },
      onRefused: ({ recordCount, sequence }, { message }) =>
        report.refuseRecovered(sequence, recordCount, message),
    },
    onSpoolProblem: (problem) => output.problem(`spool: ${problem}`),
    onAcknowledged: ({ note }, ack) => {
      for (const { index, reason } of ack.rejections) report.refuse(toLineRange(note, index, index), reason);
      const unreported = ack.rejected - ack.rejections.length;
      if (unreported > 0) report.refuse({ ...toLineRange(note), lineCount: unreported }, moreRejected);
      report.acknowledge(ack.accepted);
    },
    onRefused: ({ note }, error) => report.refuse(toLineRange(note), error.message),
    onDelayed: (_batch, error) => report.delay(error.message),
    onReconnect: (failure) => report.reconnect(failure),
    onFailed,
  });
}
