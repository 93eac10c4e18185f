import { type Fingerprint, windowBytes } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";
import { LogFile, MovedError } from "#client/follow/log-file.ts";
import type { FilePosition } from "#client/follow/position-journal.ts";

/** A file that is known, as far as matching wants to know. */
export interface KnownFile {
  readonly position: FilePosition;
  /** It is open, and can be read on whatever has become of its names. */
  readonly isOpen: boolean;
  /** Of the file in which the position was found again last: nothing has changed since. */
  readonly verified: string | undefined;
  /** When it was read last, its file had another content. */
  readonly isDisplaced: boolean;
  /** What tells it now, also when nothing of it is sent but what is open can be looked at. */
  fingerprint(): Promise<Fingerprint>;
}

export interface Matching<Known extends KnownFile> {
  /** The file in which each known log goes on: the same as before or, when it was copied or compressed, another. */
  readonly pairs: Map<Known, FoundFile>;
  /** Files that have nothing but what was read from another one. */
  readonly copies: { readonly found: FoundFile; readonly print: Fingerprint; readonly isPacked: boolean }[];
  /** Files of which nothing was read yet. */
  readonly fresh: FoundFile[];
  /** Known logs whose file has another content now, and which are in no other. */
  readonly displaced: Known[];
  /** Known logs that are in no file here. */
  readonly missing: Known[];
  /** Files of which it cannot be told yet what they are, or that this user may not read: look again soon. */
  readonly undecided: { readonly found: FoundFile; readonly error?: Error | undefined }[];
}

/** So long a compressed file that ends early may still be written. */
const compressingMsMax = 60_000;

/** Changes with the content of a file. */
export function versionOf({ device, inode, size, mtimeNs }: FoundFile): string {
  return `${device}:${inode}:${size}:${mtimeNs}`;
}

export function isInode({ device, inode }: FoundFile, position: FilePosition): boolean {
  return inode === position.inode && device === position.device;
}

/**
 * Tells for each file which log it has. A log is known by what it begins with and by what stands before the place up to
 * which it is read; its inode only says where to look first. Nothing else must change meanwhile: throws MovedError when
 * it sees that, and the caller compares the listing before and after.
 *
 *   1. the inode of a known log still has it
 *   2. a log that lost its inode is in another file, which begins alike and goes as far: copied, compressed, moved
 *   3. what is left is a copy of a known file, which may become longer, or new
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
  for (const found of rest) if (found !== live && found.size > 0) await judge(found, matching);
  return matching;
}

/** Whether the inode of a log still has it. */
async function hasLog(found: FoundFile, { position, verified, isDisplaced }: KnownFile): Promise<boolean> {
  if (!isDisplaced && verified === versionOf(found)) return true;
  if (!isDisplaced && position.isPacked) return found.size === position.size;
  if (position.isCopy ? found.size !== position.offset : found.size < position.offset) return false;
  return continues(found, position);
}

async function findElsewhere<Known extends KnownFile>(
  { pairs, displaced, missing }: Matching<Known>,
  rest: Set<FoundFile>,
): Promise<void> {
  const isLost = ({ position: { isCopy, offset } }: Known) => !isCopy && offset > 0;
  // A copy that is displaced is judged again; one that is gone may have been compressed.
  const isLostCopy = ({ position: { isCopy } }: Known) => isCopy;
  const lost = [
    ...displaced.filter(isLost),
    ...missing.filter((log) => isLost(log) && !log.isOpen),
    ...missing.filter(isLostCopy),
  ];
  for (const log of lost) {
    const copies = [...pairs].filter(([other]) => isLostCopy(other) && !isLostCopy(log));
    const places = [...rest, ...copies.map(([, file]) => file)]
      .filter((file) => !file.isBeingPacked && mayHave(file, log.position))
      // First where there is more than what is read. Of several that fit, the oldest: the others are younger logs.
      .sort((a, b) => Number(isRead(a, log.position)) - Number(isRead(b, log.position)));
    for (const found of places) {
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

/** A young file with the name that is followed may begin as the one before: with a few bytes alike it is another. */
function mayHave(found: FoundFile, { offset, inode }: FilePosition): boolean {
  return !found.isLive || found.inode === inode || offset >= windowBytes;
}

async function judge<Known extends KnownFile>(found: FoundFile, matching: Matching<Known>): Promise<void> {
  const { pairs, fresh, copies, undecided, missing } = matching;
  // Of a log that is still read to its end where it was.
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
    // What is not read yet may disappear from the original, and then be only here.
    if (offset >= length && !isBeingWritten) copies.push({ found, print, isPacked });
    else undecided.push({ found });
    return;
  }
  if (isBeingWritten) undecided.push({ found });
  else fresh.push(found);
}

/** False also where it cannot be read. */
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
