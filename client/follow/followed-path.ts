import type { SearchResult } from "#client/follow/file-search.ts";
import { FollowedFile, newPosition } from "#client/follow/followed-file.ts";
import type { FoundFile } from "#client/follow/found-files.ts";
import { LogFile, MovedError } from "#client/follow/log-file.ts";
import { LogReading, type LogReadingOptions } from "#client/follow/log-reading.ts";
import { PathReport } from "#client/follow/path-report.ts";
import type { FilePosition } from "#client/follow/position-journal.ts";

/** Files opened before their turn, because their names may change until then. */
const openMax = 32;
export interface FollowedPathOptions extends LogReadingOptions {
  /** Undefined when the path is followed for the first time. */
  readonly positions: readonly FilePosition[] | undefined;
}

/** One path and the logs that have or had its name: each is read to its end, oldest first. */
export class FollowedPath {
  readonly #options: FollowedPathOptions;
  /** Oldest first; the log that has the name is last. */
  #logs: FollowedFile[];
  #isFirst: boolean;
  #lastId: number;
  readonly #report: PathReport;
  readonly #reading: LogReading;

  constructor(options: FollowedPathOptions) {
    this.#options = options;
    this.#report = new PathReport(options.path, options.onProblem);
    this.#reading = new LogReading({ ...options, onProblem: (problem) => this.#report.problem(problem) });
    const positions = options.positions ?? [];
    this.#logs = positions.map((position) => new FollowedFile(position));
    this.#isFirst = options.positions === undefined;
    this.#lastId = Math.max(0, ...positions.map(({ id }) => id));
  }

  /** Logs that disappeared before they were read to their end. */
  get lostLogs(): number {
    return this.#report.lostLogs;
  }

  /** Names are changing: poll again soon. */
  get isUnsettled(): boolean {
    return this.#options.search.isUnsettled;
  }

  /**
   * Reads new data; true when there may be more immediately. Reports trouble with the files once and
   * retries.
   */
  async poll(): Promise<boolean> {
    try {
      const hasMore = await this.#readAll();
      const { search } = this.#options;
      if (await search.isDue(this.#logs.find(({ isLive }) => isLive))) {
        const found = await search.search(this.#logs);
        if (found) await this.#adopt(found);
      }
      return hasMore;
    } catch (error) {
      if (error instanceof MovedError) this.#options.search.wanted();
      else if ((error as NodeJS.ErrnoException).syscall !== undefined)
        this.#report.problem((error as Error).message);
      else throw error;
      return false;
    }
  }

  /** Sends the complete lines read so far. */
  async close(): Promise<void> {
    for (const log of this.#logs) {
      await this.#reading.flush(log, false);
      await log.close();
    }
  }

  async #readAll(): Promise<boolean> {
    for (const log of this.#logs) {
      if (log.isDisplaced || log.problem !== undefined || log.position.isCopy) continue;
      await this.#reading.open(log);
      if (await this.#reading.read(log)) return true; // younger logs wait
    }
    return false;
  }

  async #adopt({ matching, listing }: SearchResult): Promise<void> {
    const { search, batches, key } = this.#options;
    const { pairs, copies, fresh, displaced, missing, undecided } = matching;
    if (await this.#flush(displaced, missing)) return search.wanted();
    for (const { found, error } of undecided)
      if (error) this.#report.problem(`${found.path}: ${error.message}`);

    const files: FilePosition[] = [];
    for (const [log, found] of pairs) {
      const moved = await log.locate(found);
      if (moved) files.push(moved);
    }
    const added = copies.map(({ found, print, isPacked }) =>
      this.#newLog(found, { ...print, isCopy: true, isPacked: isPacked || undefined }),
    );
    for (const found of fresh) {
      const isOld = this.#isFirst && !found.isLive;
      added.push(this.#newLog(found, isOld ? await skippedPosition(found) : {}));
    }
    const hasLive = listing.files.some(({ isLive }) => isLive);
    const isDecided = undecided.every(({ error }) => error !== undefined);
    const ended = displaced.filter((log) => !isWanted(log) || isDecided);
    // While the name is missing, a whole file system may be, and return with everything.
    const gone = missing.filter((log) => !log.isOpen && (!isWanted(log) || (isDecided && hasLive)));
    for (const log of [...displaced, ...missing]) log.found = undefined;
    for (const log of ended) await this.#endDisplaced(log);
    for (const log of gone) await this.#endGone(log);
    const forgotten = [...ended, ...gone];

    const order = (log: FollowedFile) => (log.found ? listing.files.indexOf(log.found) : -1);
    const waiting = [...displaced, ...missing].filter((log) => !forgotten.includes(log));
    const known = [...waiting, ...pairs.keys(), ...added];
    this.#logs = known.sort((a, b) => order(a) - order(b));
    files.push(...added.map(({ position }) => position));
    if (files.length > 0 || forgotten.length > 0 || this.#isFirst) {
      await batches.remember(key, { files, forgotten: forgotten.map(({ position }) => position.id) });
    }
    this.#isFirst = false;
    // The names still belong to these files.
    const unread = this.#logs.filter((log) => !log.isLive && log.hasMore);
    for (const log of [...this.#logs.filter(({ isLive }) => isLive), ...unread.slice(0, openMax)])
      await this.#reading.open(log);
  }

  /** Sends what was read of logs that must be found again; true when that changed their positions. */
  async #flush(displaced: readonly FollowedFile[], missing: readonly FollowedFile[]): Promise<boolean> {
    let isMoved = false;
    for (const log of [...displaced, ...missing]) {
      const { reader, position } = log;
      if (!reader) continue;
      if (displaced.includes(log)) log.isDisplaced = true;
      await this.#reading.flush(log, !log.isDisplaced);
      isMoved ||= log.position !== position;
    }
    return isMoved;
  }

  #newLog(found: FoundFile, rest: Partial<FilePosition>): FollowedFile {
    const log = new FollowedFile(newPosition(++this.#lastId, found, rest));
    log.found = found;
    return log;
  }

  /** Ends a log whose content no longer exists. */
  async #endDisplaced(log: FollowedFile): Promise<void> {
    const { reader } = log;
    if (!reader) return this.#endGone(log);
    await this.#reading.flush(log, true);
    await log.close();
    if (log.hasMore) this.#report.lost(log.position);
    else if (log.position.offset > 0) this.#report.truncated(log.position);
  }

  async #endGone(log: FollowedFile): Promise<void> {
    const { position, hasMore, isDrained } = log;
    const { isCopy, isLive, offset } = position;
    await log.close();
    if (isCopy || isDrained || offset === 0) return;
    if (hasMore || isLive) this.#report.lost(position);
  }
}

/** Whether the log must be found. */
function isWanted({ position: { isCopy, offset } }: FollowedFile): boolean {
  return !isCopy && offset > 0;
}

/** The position of a file that was rotated before its path was followed: read to the end. */
async function skippedPosition(found: FoundFile): Promise<Partial<FilePosition>> {
  await using file = await LogFile.open(found);
  if (file.isPacked) return { isPacked: true, isDone: true };
  const print = await file.fingerprint(found.size);
  if (print === undefined) throw new MovedError(found.path);
  return print;
}
