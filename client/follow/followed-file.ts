import type { LineStart } from "#client/files/line-splitter.ts";
import { FileReader, type ReaderOptions } from "#client/follow/file-reader.ts";
import { emptyFingerprint, type Fingerprint } from "#client/follow/fingerprint.ts";
import type { FoundFile } from "#client/follow/found-files.ts";
import { LogFile } from "#client/follow/log-file.ts";
import { isInode, type KnownFile, toVersion } from "#client/follow/match-files.ts";
import type { FilePosition } from "#client/follow/position-journal.ts";

/** One log of a path: its position in the spool, its file and, while more may come, its reader. */
export class FollowedFile implements KnownFile {
  position: FilePosition;
  /** Undefined: no file under a name of this path has it. */
  found: FoundFile | undefined;
  verified: string | undefined;
  reader: FileReader | undefined;
  /** The open file has other content now: send what was read, then find the log again. */
  isDisplaced = false;
  /** It was read to its end after its last name was removed. */
  isDrained = false;
  /** Why it cannot be read. */
  problem: string | undefined;

  constructor(position: FilePosition) {
    this.position = position;
  }

  get isOpen(): boolean {
    return this.reader !== undefined && !this.isDisplaced;
  }

  get isLive(): boolean {
    return this.found?.isLive === true;
  }

  /** As far as known. */
  get hasMore(): boolean {
    const { isCopy, isPacked, isDone, offset, size } = this.position;
    if (isCopy) return false;
    return isPacked ? !isDone : size > offset;
  }

  async fingerprint(): Promise<Fingerprint> {
    const { position, reader } = this;
    if (position.offset > 0 || !reader || position.isPacked) return position;
    return (await reader.file.fingerprint(await reader.file.size())) ?? position;
  }

  /** Opens it at its position; false when the file no longer has it. */
  async open(options: ReaderOptions): Promise<boolean> {
    if (!this.found) return false;
    this.reader = await FileReader.open(this.found, this.position, options);
    if (this.reader) this.position = { ...this.position, isPacked: this.reader.file.isPacked || undefined };
    return this.reader !== undefined;
  }

  async close(): Promise<void> {
    const { reader } = this;
    this.reader = undefined;
    await reader?.[Symbol.asyncDispose]();
  }

  /** The position after a record. */
  positionAt(end: LineStart, reader: FileReader): FilePosition {
    const { number: line } = end;
    const position = { ...this.position, ...reader.fingerprintAt(end), line };
    return {
      ...position,
      size: position.isPacked ? position.size : Math.max(position.size, position.offset),
    };
  }

  /**
   * Updates the location of the log; returns the position to store when it changed. Throws as
   * LogFile.open does.
   */
  async locate(found: FoundFile): Promise<FilePosition | undefined> {
    const { position } = this;
    const isSame = isInode(found, position) && (!position.isPacked || found.size === position.size);
    // The size of a compressed file does not show whether there is more to read.
    const form = isSame ? {} : { isPacked: (await isPacked(found)) || undefined, isDone: undefined };
    if (!isSame || this.isDisplaced) await this.close();
    this.isDisplaced = this.isDrained = false;
    this.found = found;
    this.verified = toVersion(found);
    this.position = { ...position, ...toLocation(found), ...form };
    return isSame && position.isLive === this.position.isLive ? undefined : this.position;
  }
}

async function isPacked(found: FoundFile): Promise<boolean> {
  await using file = await LogFile.open(found);
  return file.isPacked;
}

/** A position of a file of which nothing is read yet, or never will be. */
export function newPosition(
  id: number,
  found: FoundFile,
  rest: Partial<FilePosition & Fingerprint> = {},
): FilePosition {
  return { id, ...emptyFingerprint, line: 1, ...toLocation(found), ...rest };
}

function toLocation({
  device,
  inode,
  size,
  isLive,
}: FoundFile): Pick<FilePosition, "device" | "inode" | "size" | "isLive"> {
  return { device, inode, size, isLive: isLive || undefined };
}
