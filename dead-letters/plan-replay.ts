import { create, toBinary } from "@bufbuild/protobuf";
import { digest } from "#batch/digest.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { scan } from "#batch/scan.ts";
import { LogBatchSchema } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { Entry } from "#stream/entry.ts";
import type { DeadLetter } from "./find-dead-letters.ts";
import { readJsonRecord } from "./read-json-record.ts";
import { repairRecord } from "./repair-record.ts";

/** The outcome of one dead letter: an entry for the stream, or the reason why there is none. */
export type Plan =
  | { readonly deadLetter: DeadLetter; readonly entry: Entry; readonly repairs: readonly string[] }
  | { readonly deadLetter: DeadLetter; readonly impossible: string };

/**
 * Plans the entry that replays a dead letter. The same dead letter always makes the same entry, so the
 * ledger stores it once however often it is appended. A batch returns unchanged under its own identity; a
 * record, repaired, as the only one of a batch of its device that is named after the dead letter.
 */
export function planReplay(deadLetter: DeadLetter): Plan {
  try {
    if (deadLetter.kind === "count") {
      throw new NotReplayableError(`it counts ${deadLetter.recordCount} records that were not kept`);
    }
    const planned = deadLetter.kind === "record" ? planRecord(deadLetter) : planBatch(deadLetter);
    return { deadLetter, ...planned };
  } catch (error) {
    if (error instanceof NotReplayableError) return { deadLetter, impossible: error.message };
    throw error;
  }
}

class NotReplayableError extends Error {
  override readonly name = "ImpossibleError";
}

interface Replay {
  readonly entry: Entry;
  readonly repairs: readonly string[];
}

function planBatch({
  id,
  kind,
  deviceId,
  sessionId,
  sequence,
  receivedAtMicros,
  raw,
  rawBytes,
}: DeadLetter): Replay {
  if (kind === "entry" || receivedAtMicros === undefined) {
    throw new NotReplayableError("it is a malformed entry without an identity");
  }
  if (raw.length < rawBytes) {
    throw new NotReplayableError(`only ${raw.length} of its ${rawBytes} bytes were kept`);
  }
  const scanned = scanOrFail(raw);
  const isNamedByServer = sessionId.startsWith("~") && scanned.sessionId === "";
  const isSame = scanned.sessionId === sessionId && scanned.sequence === sequence;
  if (scanned.deviceId !== deviceId || !(isSame || isNamedByServer)) {
    throw new NotReplayableError(
      `its bytes are batch ${scanned.sequence} of ${scanned.deviceId} ${scanned.sessionId}, which differs from its entry`,
    );
  }
  const entry: Entry = {
    deviceId,
    sessionId,
    sequence,
    receivedAtMicros,
    digest: digest(scanned),
    batch: raw,
    deadLetterId: id,
  };
  return { entry, repairs: [] };
}

function planRecord(deadLetter: DeadLetter): Replay {
  const { id, deviceId, sessionId, sequence, index, receivedAtMicros, raw } = deadLetter;
  if (deviceId === "" || receivedAtMicros === undefined)
    throw new NotReplayableError("its identity is unknown");
  const origin = `${sessionId} ${sequence} ${index}`;
  const { record, repairs } = repairOrFail(deadLetter.isJson ? readJsonRecord(raw) : raw, receivedAtMicros, {
    deadLetter: String(id),
    origin,
  });
  const batch = Buffer.from(
    toBinary(LogBatchSchema, create(LogBatchSchema, { deviceId, records: [record] })),
  );
  const scanned = scanOrFail(batch);
  const [rejection] = scanned.rejections;
  if (rejection !== undefined) throw new NotReplayableError(rejection.reason);
  const named = { sessionId: `~letter-${id}`, sequence: 1n };
  return {
    entry: { deviceId, ...named, receivedAtMicros, digest: digest(scanned), batch, deadLetterId: id },
    repairs,
  };
}

function repairOrFail(...record: Parameters<typeof repairRecord>): ReturnType<typeof repairRecord> {
  try {
    return repairRecord(...record);
  } catch (error) {
    throw new NotReplayableError(`its bytes are not a record: ${String(error)}`);
  }
}

function scanOrFail(bytes: Uint8Array): ReturnType<typeof scan> {
  try {
    return scan(bytes);
  } catch (error) {
    if (error instanceof InvalidBatchError) throw new NotReplayableError(error.message);
    throw error;
  }
}
