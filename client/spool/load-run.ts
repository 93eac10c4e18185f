import { readdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import type { Frame } from "#client/spool/frames.ts";
import { type PlacedFrame, Segment } from "#client/spool/segment.ts";
import { SessionJournal, segmentBytesMax } from "#client/spool/session-journal.ts";
import { type KeptBatch, KeptBatches } from "#client/stream/kept-batches.ts";
import type { SessionKey } from "#client/transports/transport.ts";

/** What an earlier process has left, by session. */
export interface EarlierSession {
  readonly session: SessionKey;
  readonly kept: KeptBatches<undefined>;
  readonly journal: SessionJournal;
}

/** The path of a run's files, up to their number. */
export function prefixOf(folder: string, run: number): string {
  return join(folder, `${String(run).padStart(8, "0")}-`);
}

/** The names of the files of each run, both rising. */
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

/** What is still kept of a run. Nothing, and the files are gone, when all of the run is settled. */
export function loadRun(
  folder: string,
  run: number,
  names: readonly string[],
  problems: string[],
): EarlierSession[] {
  const files = names.flatMap((name) => {
    const { segment, frames, cutBytes } = Segment.load(join(folder, name));
    const isWhole = frames[0]?.frame.kind === "session";
    if (cutBytes > 0 && isWhole) {
      // At the end of the last file it is what a loss of power leaves: a batch that nobody was promised.
      problems.push(
        `${name}: ${cutBytes} bytes after ${frames.length} frames are an incomplete frame and were truncated`,
      );
    }
    if (isWhole) return [{ segment, frames }];
    if (frames.length === 0 && cutBytes === 0) segment.remove();
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
      prefix: prefixOf(folder, run),
      nextNumber: Number(names.at(-1)?.slice(9, 17)) + 1,
      bytesMax: Number.POSITIVE_INFINITY,
    },
  );
  for (const { segment } of files) journal.adopt(segment);
  const kept = restore(journal, files);
  if (kept.count === 0) journal.remove();
  else journal.compact(2 * kept.bytes + segmentBytesMax);
  return kept.count === 0 ? [] : [{ session: journal.session, kept, journal }];
}

type BatchFrame = Frame & { kind: "batch" };

function restore(
  journal: SessionJournal,
  files: readonly { segment: Segment; frames: readonly PlacedFrame[] }[],
): KeptBatches<undefined> {
  const batches = new Map<bigint, { segment: Segment; frame: BatchFrame; offset: number }>();
  let written = 0n;
  for (const { segment, frames } of files) {
    for (const { frame, offset } of frames) {
      if (frame.kind === "session") continue;
      if (frame.kind === "written") written = frame.sequence;
      else if (frame.kind === "settled") batches.delete(frame.sequence);
      else if (frame.kind === "batch") {
        const last = frame.droppedUntil ?? frame.sequence;
        for (let sequence = frame.sequence; sequence <= last; sequence++) batches.delete(sequence);
        batches.set(frame.sequence, { segment, frame, offset });
      }
    }
  }
  const kept = new KeptBatches<undefined>(journal);
  for (const { segment, frame, offset } of [...batches.values()].sort(bySequence)) {
    const { recordCount, droppedUntil } = frame;
    const fields = { recordCount, droppedUntil, note: undefined };
    const batch: KeptBatch<undefined> = Object.assign(journal.restore(segment, frame, offset), fields);
    kept.restore(batch, frame.sequence <= written);
  }
  return kept;
}

function bySequence({ frame: a }: { frame: BatchFrame }, { frame: b }: { frame: BatchFrame }): number {
  return a.sequence < b.sequence ? -1 : 1;
}
