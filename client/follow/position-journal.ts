import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import type { Fingerprint } from "#client/follow/fingerprint.ts";
import { fileMode } from "#client/spool/segment.ts";

/** The position of one file in the spool, and its identity. */
export interface FilePosition extends Fingerprint {
  /** Within its path; rising in the order of finding. */
  readonly id: number;
  readonly device: string;
  readonly inode: string;
  /** The number of the line that begins at the offset. */
  readonly line: number;
  /** Size on disk at the last check. */
  readonly size: number;
  /** It had the name that is followed. */
  readonly isLive?: boolean | undefined;
  /** Compressed; and read to its end, or never to be read. */
  readonly isPacked?: boolean | undefined;
  readonly isDone?: boolean | undefined;
  /** Another file has all of its content; nothing is read from it. */
  readonly isCopy?: boolean | undefined;
}

/** A batch of the spool. */
export interface BatchKey {
  readonly sessionId: string;
  readonly sequence: bigint;
}

export interface Change {
  /** New positions, or replacements of those with the same id. */
  readonly files?: readonly FilePosition[];
  /** Ids of positions that are forgotten. */
  readonly forgotten?: readonly number[];
}

/** One line of the journal. */
type Entry =
  | (Change & { readonly path: string; readonly batch?: { sessionId: string; sequence: string } })
  | { readonly done: true };

const bytesMin = 256 * 1024;

/**
 * Remembers how far the files of each path are in the spool. A position moves together with a batch of its lines:
 *
 *   {path, files, batch}, synced  →  the batch is written into the spool and synced  →  {done}
 *
 * A process that is killed in between leaves an entry without `done`. It counts if the spool has the batch.
 */
export class PositionJournal implements Disposable {
  readonly #path: string;
  readonly #files = new Map<string, Map<number, FilePosition>>();
  #fd: number;
  #size = 0;
  /** Begin the file again beyond this. */
  #bytesMax = 0;
  /** The last entry wants a `done`. */
  #owesDone = false;

  /**
   * Throws when the file cannot be read or written, or is damaged. Call it before anything is sent from
   * the spool.
   */
  constructor(path: string, isSpooled: (batch: BatchKey) => boolean) {
    this.#path = path;
    this.#load(isSpooled);
    this.#fd = this.#rewrite();
  }

  /** In the order of their ids; undefined when the path was never followed. */
  readFiles(path: string): readonly FilePosition[] | undefined {
    const files = this.#files.get(path);
    return files && [...files.values()].sort((a, b) => a.id - b.id);
  }

  /** No batch has to do with it. */
  set(path: string, change: Change): void {
    this.#append({ path, ...change });
    fdatasyncSync(this.#fd);
    this.#apply(path, change);
  }

  /** `spool` starts to write the batch into the spool synchronously and resolves when it is on disk there. */
  async setWith(batch: BatchKey, path: string, change: Change, spool: () => Promise<void>): Promise<void> {
    if (this.#size > this.#bytesMax) {
      closeSync(this.#fd);
      this.#fd = this.#rewrite();
    }
    const { sessionId, sequence } = batch;
    this.#append({ path, ...change, batch: { sessionId, sequence: String(sequence) } });
    fdatasyncSync(this.#fd);
    await spool();
    this.#owesDone = true;
    this.#apply(path, change);
    try {
      this.#append();
    } catch {
      // The disk is full: the next entry includes this one, and until then the spool decides.
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
    this.#fd = -1; // which another file may have from now on
  }

  #apply(path: string, { files = [], forgotten = [] }: Change): void {
    const known = this.#files.get(path) ?? new Map<number, FilePosition>();
    for (const file of files) known.set(file.id, file);
    for (const id of forgotten) known.delete(id);
    this.#files.set(path, known);
  }

  #load(isSpooled: (batch: BatchKey) => boolean): void {
    const entries = readEntries(this.#path);
    for (const [index, entry] of entries.entries()) {
      if ("done" in entry) continue;
      const { path, batch, ...change } = entry;
      const next = entries[index + 1];
      const isDone = batch === undefined || (next !== undefined && "done" in next);
      if (isDone || isSpooled({ sessionId: batch.sessionId, sequence: BigInt(batch.sequence) })) {
        this.#apply(path, change);
      }
    }
  }

  /** Rewrites the file with the current positions, atomically. */
  #rewrite(): number {
    const entries = [...this.#files].map(([path, files]) => ({ path, files: [...files.values()] }));
    const text = entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
    const temporary = `${this.#path}.new`;
    writeFileSync(temporary, text, { mode: fileMode, flush: true });
    renameSync(temporary, this.#path);
    if (process.platform !== "win32") {
      const folder = openSync(dirname(this.#path), "r");
      fsyncSync(folder);
      closeSync(folder);
    }
    this.#size = Buffer.byteLength(text);
    this.#owesDone = false;
    this.#bytesMax = Math.max(bytesMin, 4 * this.#size);
    return openSync(this.#path, "a", fileMode);
  }

  /** The bytes of a partly written entry are cut off, or form no complete line. */
  #append(entry?: Entry): void {
    const entries = [...(this.#owesDone ? [{ done: true }] : []), ...(entry ? [entry] : [])];
    const lines = Buffer.from(entries.map((one) => `${JSON.stringify(one)}\n`).join(""));
    ftruncateSync(this.#fd, this.#size);
    for (let written = 0; written < lines.byteLength; ) written += writeSync(this.#fd, lines, written);
    this.#size += lines.byteLength;
    this.#owesDone = false;
  }
}

function readEntries(path: string): readonly Entry[] {
  let text = "";
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  // The bytes after the last newline were written partly.
  const lines = text.split("\n").slice(0, -1);
  return lines.map((line, index) => {
    try {
      return JSON.parse(line) as Entry;
    } catch {
      throw new Error(
        `${path} is damaged in line ${index + 1}: how far the files are read is not known any more; ` +
          "without that file they are read from the beginning",
      );
    }
  });
}
