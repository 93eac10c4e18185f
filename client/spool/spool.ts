import { accessSync, constants, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describeDiskError } from "#client/spool/describe-disk-error.ts";
import {
  filePrefix,
  filesByRun,
  type RecoveredSession,
  recoverSession,
} from "#client/spool/recover-session.ts";
import { SessionJournal } from "#client/spool/session-journal.ts";
import type { SessionKey } from "#client/transports/transport.ts";
import { FileLock } from "#lib/file-lock.ts";

export interface SpoolOptions {
  /** Created if missing. One process at a time. */
  readonly folder: string;
  /**
   * How long a batch may stay in the kernel before it is on disk. A power loss can cost that much; the
   * end of the process, however violent, costs nothing. 0: `send()` waits for the disk. Default 1,000.
   */
  readonly syncMs?: number | undefined;
  /**
   * Called once the folder is locked, before it is read. An error that it throws becomes a {@link
   * SpoolError}.
   */
  readonly onLocked?: (() => void) | undefined;
}

/** The folder cannot be used as a spool; the message says why. */
export class SpoolError extends Error {
  override readonly name = "SpoolError";
}

/** Unsent logs are private, whatever the umask. */
const folderMode = 0o700;
const writableByOthers = 0o022;

/**
 * A folder that keeps batches across processes: `lock`, and for each session the files of its journal,
 * named `RUN-NUMBER.spool`, where a run is the lifetime of one process. Batches of earlier runs keep
 * their session; new batches start another one, so no number is assigned twice. The folder, when created
 * here, and all files are accessible to their owner only.
 */
export class Spool implements Disposable {
  readonly recovered: readonly RecoveredSession[];
  /** Damage that was found, for a person to read. */
  readonly problems: readonly string[];
  readonly journal: SessionJournal;
  readonly #lock: FileLock;
  readonly #syncMs: number;
  #timer: NodeJS.Timeout | undefined;

  /**
   * Reads the folder and starts `session`. Throws {@link SpoolError} when the folder cannot be used or is
   * in use.
   */
  constructor({ folder, syncMs = 1_000, onLocked }: SpoolOptions, session: SessionKey, bytesMax: number) {
    this.#syncMs = syncMs;
    const lock = lockFolder(folder);
    this.#lock = lock;
    try {
      onLocked?.();
      const runs = filesByRun(folder);
      const problems: string[] = [];
      if ((statSync(folder).mode & writableByOthers) !== 0) {
        problems.push(`other users may write to ${folder}: use chmod 700, or they can remove batches`);
      }
      this.recovered = [...runs].flatMap(([run, files]) => recoverSession(folder, run, files, problems));
      this.problems = problems;
      const prefix = filePrefix(folder, Math.max(0, ...runs.keys()) + 1);
      this.journal = new SessionJournal(session, { prefix, nextNumber: 1, bytesMax });
    } catch (error) {
      lock[Symbol.dispose]();
      throw new SpoolError(`the spool ${folder} cannot be read: ${(error as Error).message}`, {
        cause: error,
      });
    }
  }

  /**
   * Called after an append: resolves immediately, or with `syncMs: 0` when the batch is on disk. Reports
   * a later disk failure to `onFailure`.
   */
  async appended(onFailure: (reason: string) => void): Promise<void> {
    if (this.#syncMs === 0) await this.#sync();
    else {
      this.#timer ??= setTimeout(() => {
        this.#timer = undefined;
        this.#sync().catch((error: Error) => onFailure(`the spool cannot be synced: ${error.message}`));
      }, this.#syncMs);
    }
  }

  /** Those of earlier sessions too: a declaration of drops is appended to the session of its batches. */
  get #journals(): readonly SessionJournal[] {
    return [...this.recovered.map(({ journal }) => journal), this.journal];
  }

  async #sync(): Promise<void> {
    await Promise.all(this.#journals.map((journal) => journal.sync()));
  }

  /** The batches stay in the folder for the next process. */
  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    try {
      for (const journal of this.#journals) journal.syncNow();
    } finally {
      for (const journal of this.#journals) journal.close();
      this.#lock[Symbol.dispose]();
    }
  }
}

/** Creates the folder if missing, and locks it. Throws {@link SpoolError}. */
export function lockFolder(folder: string): FileLock {
  let lock: FileLock | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: folderMode });
    accessSync(folder, constants.R_OK | constants.W_OK | constants.X_OK);
    lock = FileLock.acquire(join(folder, "lock"));
  } catch (error) {
    throw new SpoolError(`the spool ${folder} cannot be used: ${describeDiskError(error)}`, { cause: error });
  }
  if (!lock) throw new SpoolError(`the spool ${folder} is in use by another process`);
  return lock;
}
