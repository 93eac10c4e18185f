import { readdirSync, readFileSync, renameSync } from "node:fs";
import { join } from "node:path";
import { type Frame, readFrame } from "#client/spool/frames.ts";
import { type LocatedFrame, Segment } from "#client/spool/segment.ts";
import { SessionJournal, segmentBytesMax } from "#client/spool/session-journal.ts";
import { type PendingBatch, PendingBatches } from "#client/stream/pending-batches.ts";
import type { SessionKey } from "#client/transports/transport.ts";

/** A session that an earlier process left in the spool. */
export interface RecoveredSession {
  readonly session: SessionKey;
  readonly pending: PendingBatches<undefined>;
  readonly journal: SessionJournal;
}

/** The path of a run's files, up to their number. */
export function filePrefix(folder: string, run: number): string {
  return join(folder, `${String(run).padStart(8, "0")}-`);
}

/** The file names of each run, both ascending. */
export function filesByRun(folder: string): Map<number, string[]> {
  const runs = new Map<number, string[]>();
  for (const name of readdirSync(folder).sort()) {
    const [, run] = /^(\d{8})-\d{8}\.spool$/.exec(name) ?? [];
    if (run === undefined) continue;
    const files = runs.get(Number(run)) ?? [];
    files.push(name);
    runs.set(Number(run), files);
  }
  return runs;
}

/** Recovers the unsettled batches of a run. Returns nothing, and removes the files, when all are settled. */
export function recoverSession(
  folder: string,
  run: number,
  names: readonly string[],
  problems: string[],
): RecoveredSession[] {
  const files = names.flatMap((name) => {
    const { segment, frames, tornBytes } = Segment.load(join(folder, name));
    const isWhole = frames[0]?.frame.kind === "session";
    if (tornBytes > 0 && isWhole) {
      segment.cutTail();
      // A power loss leaves this at the end of the last file: a batch that no caller was promised.
      problems.push(
        `${name}: ${tornBytes} bytes after ${frames.length} frames are an incomplete frame and were truncated`,
      );
    }
    if (isWhole) return [{ segment, frames }];
    if (frames.length === 0 && tornBytes === 0) segment.remove();
    else {
      renameSync(segment.path, `${segment.path}.damaged`);
      problems.push(`${name}: is not a spool file and was set aside`);
    }
    return [];
  });
  const first = files[0]?.frames[0]?.frame;
  if (first?.kind !== "session") return [];
  const { deviceId, sessionId } = first;
  const journal = new SessionJournal(
    { deviceId, sessionId },
    {
      prefix: filePrefix(folder, run),
      nextNumber: Number(names.at(-1)?.slice(9, 17)) + 1,
      bytesMax: Number.POSITIVE_INFINITY,
    },
  );
  for (const { segment } of files) journal.adopt(segment);
  const pending = restore(journal, files);
  if (pending.count === 0) journal.remove();
  else journal.compact(2 * pending.bytes + segmentBytesMax);
  return pending.count === 0 ? [] : [{ session: journal.session, pending, journal }];
}

/** Whether the spool ever held the whole batch: the batch itself or its settled mark is there. */
export function hasBatch(folder: string, sessionId: string, sequence: bigint): boolean {
  const files = [...filesByRun(folder).values()].flat();
  return files.some((name) => {
    const bytes = readFileSync(join(folder, name));
    let isOfSession = false;
    for (let next = readFrame(bytes, 0); next !== undefined; next = readFrame(bytes, next.end)) {
      const { frame } = next;
      if (frame.kind === "session") isOfSession = frame.sessionId === sessionId;
      else if (isOfSession && frame.kind !== "written" && frame.sequence === sequence) return true;
    }
    return false;
  });
}

type BatchFrame = Frame & { kind: "batch" };

function restore(
  journal: SessionJournal,
  files: readonly { segment: Segment; frames: readonly LocatedFrame[] }[],
): PendingBatches<undefined> {
  const batches = new Map<bigint, { segment: Segment; frame: BatchFrame; offset: number }>();
  for (const { segment, frames } of files) {
    for (const { frame, offset } of frames) {
      if (frame.kind === "session") continue;
      if (frame.kind === "written") journal.restoreWritten(frame.sequence);
      else if (frame.kind === "settled") batches.delete(frame.sequence);
      else if (frame.kind === "batch") {
        const last = frame.droppedUntil ?? frame.sequence;
        for (let sequence = frame.sequence; sequence <= last; sequence++) batches.delete(sequence);
        batches.set(frame.sequence, { segment, frame, offset });
      }
    }
  }
  const pending = new PendingBatches<undefined>(journal);
  for (const { segment, frame, offset } of [...batches.values()].sort(bySequence)) {
    const { recordCount, droppedUntil } = frame;
    const fields = { recordCount, droppedUntil, note: undefined };
    const batch: PendingBatch<undefined> = Object.assign(journal.restore(segment, frame, offset), fields);
    pending.restore(batch, frame.sequence <= journal.writtenThrough);
  }
  return pending;
}

function bySequence({ frame: a }: { frame: BatchFrame }, { frame: b }: { frame: BatchFrame }): number {
  return a.sequence < b.sequence ? -1 : 1;
}
