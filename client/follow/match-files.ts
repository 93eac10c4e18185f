import { type Fingerprint, windowBytes } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";
import { LogFile, MovedError } from "#client/follow/log-file.ts";
import type { FilePosition } from "#client/follow/position-journal.ts";

/** The properties of a known log that matching needs. */
export interface KnownFile {
  readonly position: FilePosition;
  /** It is open and stays readable whatever happens to its names. */
  readonly isOpen: boolean;
  /** The version of the file in which the position was last verified. */
  readonly verified: string | undefined;
  /** The last read found other content in its file. */
  readonly isDisplaced: boolean;
  /** Its current fingerprint, even when nothing of it was sent but its open file can be read. */
  fingerprint(): Promise<Fingerprint>;
}

export interface Matching<Known extends KnownFile> {
  /**
   * The file in which each known log continues: the same as before or, after a copy or compression,
   * another.
   */
  readonly pairs: Map<Known, FoundFile>;
  /** Files that contain only what was read from another file. */
  readonly copies: { readonly found: FoundFile; readonly print: Fingerprint; readonly isPacked: boolean }[];
  /** Files of which nothing was read. */
  readonly fresh: FoundFile[];
  /** Known logs whose file has other content now and which no other file has. */
  readonly displaced: Known[];
  /** Known logs that no file has. */
  readonly missing: Known[];
  /** Files that cannot be classified yet or that this user may not read: search again soon. */
  readonly undecided: { readonly found: FoundFile; readonly error?: Error | undefined }[];
}

/** A truncated compressed file younger than this may still be being written. */
const compressingMsMax = 60_000;

/** A key that changes with the content of a file. */
export function toVersion({ device, inode, size, mtimeNs }: FoundFile): string {
  return `${device}:${inode}:${size}:${mtimeNs}`;
}

export function isInode({ device, inode }: FoundFile, position: FilePosition): boolean {
  return inode === position.inode && device === position.device;
}

/**
 * Decides which log each file has. The beginning of a log and the bytes before its position identify it;
 * its inode only says where to look first. The files must not change meanwhile: throws MovedError when it
 * notices that, and the caller compares the listings before and after.
 *
 *   1. The inode of a known log still has it.
 *   2. A log that lost its inode is in another file with the same beginning that reaches its position: copied,
 *      compressed or moved.
 *   3. Every other file is a copy of a known file, which may grow, or new.
 */
export async function matchFiles<Known extends KnownFile>(
  files: readonly FoundFile[],
  known: readonly Known[],
): Promise<Matching<Known>> {
  const matching: Matching<Known> = {
    pairs: new Map(),
    copies: [],
    fresh: [],
    displaced: [],
    missing: [],
    undecided: [],
  };
  const rest = new Set(files);
  for (const log of known) {
    const found =
      files.find((file) => isInode(file, log.position)) ??
      files.find((file) => file.inode === log.position.inode); // devices get other numbers when a system starts
    if (found === undefined) matching.missing.push(log);
    else if (rest.has(found) && (await hasLog(found, log))) {
      matching.pairs.set(log, found);
      rest.delete(found);
    } else matching.displaced.push(log);
  }
  await findElsewhere(matching, rest);
  const live = [...rest].find(({ isLive }) => isLive);
  if (live) matching.fresh.push(live);
  for (const found of rest) if (found !== live && found.size > 0) await classify(found, matching);
  return matching;
}

/** Whether the log's inode still has it. */
async function hasLog(found: FoundFile, { position, verified, isDisplaced }: KnownFile): Promise<boolean> {
  if (!isDisplaced && verified === toVersion(found)) return true;
  if (!isDisplaced && position.isPacked) return found.size === position.size;
  if (position.isCopy ? found.size !== position.offset : found.size < position.offset) return false;
  return continues(found, position);
}

async function findElsewhere<Known extends KnownFile>(
  { pairs, displaced, missing }: Matching<Known>,
  rest: Set<FoundFile>,
): Promise<void> {
  const isLost = ({ position: { isCopy, offset } }: Known) => !isCopy && offset > 0;
  // A displaced copy is classified again; a missing one may have been compressed.
  const isLostCopy = ({ position: { isCopy } }: Known) => isCopy;
  const lost = [
    ...displaced.filter(isLost),
    ...missing.filter((log) => isLost(log) && !log.isOpen),
    ...missing.filter(isLostCopy),
  ];
  for (const log of lost) {
    const copies = [...pairs].filter(([other]) => isLostCopy(other) && !isLostCopy(log));
    const candidates = [...rest, ...copies.map(([, file]) => file)]
      .filter((file) => !file.isBeingPacked && mayContain(file, log.position))
      // Files with unread data first. Of several matches the oldest: the others are younger logs.
      .sort((a, b) => Number(isRead(a, log.position)) - Number(isRead(b, log.position)));
    for (const found of candidates) {
      if (!(await continues(found, log.position))) continue;
      for (const [copy, file] of copies) {
        if (file !== found) continue;
        pairs.delete(copy);
        missing.push(copy);
      }
      rest.delete(found);
      pairs.set(log, found);
      for (const list of [displaced, missing]) if (list.includes(log)) list.splice(list.indexOf(log), 1);
      break;
    }
  }
}

function isRead(found: FoundFile, { offset }: FilePosition): boolean {
  return found.size === offset;
}

/**
 * A young file under the followed name may begin like the one before: a few equal bytes do not identify
 * it.
 */
function mayContain(found: FoundFile, { offset, inode }: FilePosition): boolean {
  return !found.isLive || found.inode === inode || offset >= windowBytes;
}

async function classify<Known extends KnownFile>(found: FoundFile, matching: Matching<Known>): Promise<void> {
  const { pairs, fresh, copies, undecided, missing } = matching;
  // The file belongs to a log that is still read to its end elsewhere.
  for (const log of found.isBeingPacked ? [] : missing) {
    const print = await log.fingerprint();
    if (print.offset > 0 && (await continues(found, print))) return void undecided.push({ found });
  }
  if (found.isBeingPacked) return void undecided.push({ found });
  const read = await withFile(found, async (file) => ({ ...(await file.extent()), isPacked: file.isPacked }));
  if (read instanceof Error) return void undecided.push({ found, error: read });
  const { length, isWhole, isPacked } = read;
  const isBeingWritten =
    isPacked && !isWhole && Date.now() - Number(found.mtimeNs / 1_000_000n) < compressingMsMax;
  const live = fresh.find(({ isLive }) => isLive);
  const originals = [...pairs]
    .filter(([{ position }]) => !position.isCopy && !position.isPacked)
    .map(([{ position }, original]) => ({ original, offset: position.offset }))
    .concat(live ? { original: live, offset: 0 } : []);
  for (const { original, offset } of length > 0 ? originals : []) {
    if (original.size < length) continue;
    const print = await withFile(original, (file) => file.fingerprint(length));
    if (!print || print instanceof Error || !(await continues(found, print))) continue;
    // Unread data may disappear from the original and then exist only here.
    if (offset >= length && !isBeingWritten) copies.push({ found, print, isPacked });
    else undecided.push({ found });
    return;
  }
  if (isBeingWritten) undecided.push({ found });
  else fresh.push(found);
}

/** Also false when the file cannot be read. */
async function continues(found: FoundFile, print: Fingerprint): Promise<boolean> {
  return print.offset === 0 || (await withFile(found, (file) => file.continues(print))) === true;
}

/** Returns the error for a file that cannot be read. */
async function withFile<T>(found: FoundFile, use: (file: LogFile) => Promise<T>): Promise<T | Error> {
  try {
    await using file = await LogFile.open(found);
    return await use(file);
  } catch (error) {
    if (error instanceof MovedError || !(error as NodeJS.ErrnoException).code) throw error;
    return error as Error;
  }
}
