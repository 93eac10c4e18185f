import { once } from "node:events";
import { statSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { InputError, toLineRange } from "#client/files/read-inputs.ts";
import { FileSearch } from "#client/follow/file-search.ts";
import { FollowBatches } from "#client/follow/follow-batches.ts";
import { FollowedPath } from "#client/follow/followed-path.ts";
import { PositionJournal } from "#client/follow/position-journal.ts";
import { exitCodes, type SendDependencies, type SendOptions } from "#client/send/send.ts";
import { SendReport } from "#client/send/send-report.ts";
import { openSendStream } from "#client/send/send-stream.ts";
import { hasBatch } from "#client/spool/recover-session.ts";

/** Delay between two polls without news: while names are changing, and otherwise. */
const unsettledMs = 40;
const pollMs = 250;
/**
 * How long to continue reading and writing after the stop, and then to wait for acknowledgements; the
 * rest stays in the spool.
 */
const stopMsMax = 1_000;
const drainMsMax = 2_000;

/**
 * Sends the lines of files as they are written, until the signal: every line once, across rotations and
 * any end of this process. The spool's folder stores the position of each file. Throws {@link
 * InputError}, SpoolError.
 */
export async function follow(
  options: SendOptions,
  { output, signal }: Pick<SendDependencies, "output" | "signal">,
): Promise<number> {
  const folder = checkOptions(options);
  const report = new SendReport(output);
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  using resources = new DisposableStack();
  let journal: PositionJournal | undefined;
  const onLocked = () => {
    const isSpooled = ({ sessionId, sequence }: { sessionId: string; sequence: bigint }) =>
      hasBatch(folder, sessionId, sequence);
    journal = resources.use(new PositionJournal(join(folder, "positions"), isSpooled));
  };
  const onProblem = (problem: string) => output.problem(problem);
  const spool = { syncMs: 0, onLocked };
  const stream = resources.use(
    openSendStream(options, { report, output, onFailed: () => failed.abort(), spool }),
  );
  if (!journal) throw new Error("the spool was not locked");
  const paths = openPaths(options, {
    report,
    journal,
    onProblem,
    batches: new FollowBatches({
      stream,
      journal,
      recordsMax: options.batchRecordsMax,
      stop,
      onProblem,
    }),
  });

  let failure: Error | undefined;
  const following = pollAll(paths, stop).catch((error: Error) => {
    failure = error;
    failed.abort();
  });
  await aborted(stop);
  // A full spool makes this wait, so the signal must end it.
  await Promise.race([following, sleep(stopMsMax, undefined, { ref: false })]);
  if (!failure) await stream.flush(drainMsMax).catch(() => {}); // the rest is in the spool

  if (failure && !signal.aborted) output.problem(failure.message);
  report.unacknowledged(stream.unacknowledged.map(({ note }) => toLineRange(note)));
  const spooled = stream.unacknowledged.length + stream.recoveredCount;
  if (spooled > 0) output.problem(`${spooled} batches are kept in ${folder}: the next run sends them`);
  report.summarize(stream.sessionId);
  const lostLogs = paths.reduce((sum, path) => sum + path.lostLogs, 0);
  if (lostLogs > 0) output.problem(`${lostLogs} files were gone before they were read to their end`);
  if (!signal.aborted || lostLogs > 0) return exitCodes.failed;
  return report.refused > 0 ? exitCodes.refused : exitCodes.acknowledged;
}

/** Returns the spool's folder. A file that is not there yet will be waited for. */
function checkOptions({ inputs, spool, sessionId }: SendOptions): string {
  if (spool === undefined) throw new InputError("--follow wants a --spool, where it remembers how far it is");
  if (sessionId !== undefined)
    throw new InputError("--follow draws a session for each run: leave out --session");
  for (const path of inputs) {
    if (path === "-")
      throw new InputError("--follow is for files: standard input is sent as it comes anyway");
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats && !stats.isFile()) throw new InputError(`cannot follow ${path}: it is not a file`);
  }
  return spool;
}

function openPaths(
  options: SendOptions,
  surroundings: {
    report: SendReport;
    journal: PositionJournal;
    batches: FollowBatches;
    onProblem: (problem: string) => void;
  },
): readonly FollowedPath[] {
  const { journal, ...rest } = surroundings;
  const paths = new Map(options.inputs.map((path) => [resolve(path), path]));
  return [...paths].map(
    ([key, path]) =>
      new FollowedPath({
        path,
        key,
        positions: journal.readFiles(key),
        search: new FileSearch(key, new Set(paths.keys())),
        ...rest,
        reading: options,
      }),
  );
}

async function pollAll(paths: readonly FollowedPath[], stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    let hasMore = false;
    for (const path of paths) hasMore = (await path.poll()) || hasMore;
    if (hasMore) continue;
    const waitMs = paths.some(({ isUnsettled }) => isUnsettled) ? unsettledMs : pollMs;
    await sleep(waitMs, undefined, { signal: stop }).catch(() => {});
  }
  for (const path of paths) await path.close();
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, "abort");
}
