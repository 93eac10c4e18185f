import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { diskProblem } from "#client/spool/disk-problem.ts";
import { type EarlierSession, filesByRun, loadRun, prefixOf } from "#client/spool/load-run.ts";
import { SessionJournal } from "#client/spool/session-journal.ts";
import type { SessionKey } from "#client/transports/transport.ts";
import { FileLock } from "#lib/file-lock.ts";

export interface SpoolOptions {
  /** Made if it is not there. For one process at a time. */
  readonly folder: string;
  /**
   * How long a batch may be in the hands of the kernel before it is on disk, which is what a loss of power can cost; the
   * end of the process, however violent, costs nothing. 0: `send()` waits for the disk. Default 1,000.
   */
  readonly syncMs?: number | undefined;
  /** Called when the folder is this process', and as the last process left it. What it throws is a {@link SpoolError}. */
  readonly onLocked?: (() => void) | undefined;
}

/** The folder cannot be used as a spool; the message says why. */
export class SpoolError extends Error {
  override readonly name = "SpoolError";
}

/** Unread logs are nobody else's business, whatever the umask is. */
const folderMode = 0o700;
const writableByOthers = 0o022;

/**
 * A folder in which batches survive the process: `lock`, and for each session the files of its journal, named
 * `RUN-NUMBER.spool`, where the run is one life of a process. What earlier runs left goes on under its own session; what
 * is new begins another one, so that no number is ever given twice. A folder that is made here, and all files, are for
 * their owner alone.
 */
export class Spool implements Disposable {
  readonly earlier: readonly EarlierSession[];
  /** What was found damaged, for a person to know. */
  readonly problems: readonly string[];
  readonly journal: SessionJournal;
  readonly #lock: FileLock;
  readonly #syncMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** Reads what is there and begins `session`. Throws {@link SpoolError} when the folder cannot be used, or is in use. */
  constructor({ folder, syncMs = 1_000, onLocked }: SpoolOptions, session: SessionKey, bytesMax: number) {
    this.#syncMs = syncMs;
    const lock = openFolder(folder);
    this.#lock = lock;
    try {
      onLocked?.();
      const runs = filesByRun(folder);
      const problems: string[] = [];
      if ((statSync(folder).mode & writableByOthers) !== 0) {
        problems.push(`other users may write to ${folder}: use chmod 700, or they can remove batches`);
      }
      this.earlier = [...runs].flatMap(([run, files]) => loadRun(folder, run, files, problems));
      this.problems = problems;
      const prefix = prefixOf(folder, Math.max(0, ...runs.keys()) + 1);
      this.journal = new SessionJournal(session, { prefix, nextNumber: 1, bytesMax });
    } catch (error) {
      lock[Symbol.dispose]();
      throw new SpoolError(`the spool ${folder} cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * Something was appended: resolves when it counts as kept, which is at once, or when it is on disk. A disk that fails
   * later is told to `onFailure`.
   */
  async appended(onFailure: (reason: string) => void): Promise<void> {
    if (this.#syncMs === 0) await this.journal.sync();
    else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.journal
          .sync()
          .catch((error: Error) => onFailure(`the spool cannot be synced: ${error.message}`));
      }, this.#syncMs);
    }
  }

  /** What is in the folder stays there, for the next process. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    try {
      this.journal.syncNow();
    } finally {
      for (const { journal } of this.earlier) journal.close();
      this.journal.close();
      this.#lock[Symbol.dispose]();
    }
  }
}

/** Makes the folder if need be, and locks it. */
function openFolder(folder: string): FileLock {
  let lock: FileLock | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: folderMode });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    lock = FileLock.acquire(join(folder, "lock"));
  } catch (error) {
    throw new SpoolError(`the spool ${folder} cannot be used: ${diskProblem(error)}`, { cause: error });
  }
  if (!lock) throw new SpoolError(`the spool ${folder} is in use by another process`);
  return lock;
}
