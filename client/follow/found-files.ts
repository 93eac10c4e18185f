import type { BigIntStats } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";

/** A file as the last listing found it. */
export interface FoundFile {
  readonly path: string;
  readonly device: string;
  readonly inode: string;
  /** On disk, in bytes. */
  readonly size: number;
  readonly mtimeNs: bigint;
  /** It has the name that is followed; otherwise one that a rotation gives. */
  readonly isLive: boolean;
  /**
   * A file with the same name except .gz or .zst exists too: most likely it is being compressed into this
   * one.
   */
  readonly isBeingPacked: boolean;
}

/** More files than this beside one are no rotation. */
const foundFilesMax = 10_000;

export interface Listing {
  /** Each file once, the oldest first, the one with the name last. */
  readonly files: readonly FoundFile[];
  /** Changes with every name in the folder. */
  readonly folderMtimeNs: bigint;
}

/**
 * Lists the file `path` and its rotated files. While names change, a listing may miss a file or contain
 * it twice: see {@link isSameFiles}. A missing folder has none.
 */
export async function listFiles(path: string, others: ReadonlySet<string>): Promise<Listing> {
  const folder = dirname(path);
  const folderStats = await statIfAny(folder);
  if (!folderStats) return { files: [], folderMtimeNs: 0n };
  const isOurs = (name: string) => isRotated(name, basename(path)) && !others.has(join(folder, name));
  const names = (await readdir(folder)).filter(isOurs);
  if (names.length > foundFilesMax) {
    throw new Error(
      `${names.length} files in ${folder} look as if they were rotated: ${foundFilesMax} at most`,
    );
  }
  const rotated: FoundFile[] = [];
  for (const name of names) {
    const source = name.replace(packedEnding, "");
    const file = await find(join(folder, name), { isBeingPacked: source !== name && names.includes(source) });
    if (file) rotated.push(file);
  }
  const live = await find(path, { isLive: true });
  const files = rotated.sort(byAge).concat(live ?? []);
  // Two names of one file: a link, the one that is followed or a hard one.
  const byInode = new Map(files.map((file) => [`${file.device}:${file.inode}`, file]));
  return {
    files: files.filter((file) => byInode.get(`${file.device}:${file.inode}`) === file),
    folderMtimeNs: folderStats.mtimeNs,
  };
}

/** Several rotations may lie within one tick of the file system's clock: then by the number that a rotation counts up. */
function byAge(a: FoundFile, b: FoundFile): number {
  if (a.mtimeNs !== b.mtimeNs) return a.mtimeNs < b.mtimeNs ? -1 : 1;
  const count = ({ path }: FoundFile) => Number(/\.(\d{1,4})(?:\.gz|\.zst)?$/.exec(path)?.[1] ?? 0);
  return count(b) - count(a);
}

/** Undefined when there is no file. */
export async function find(
  path: string,
  { isLive = false, isBeingPacked = false }: { isLive?: boolean; isBeingPacked?: boolean },
): Promise<FoundFile | undefined> {
  const stats = await statIfAny(path);
  if (!stats?.isFile()) return undefined;
  const { dev, ino, size, mtimeNs } = stats;
  return {
    path,
    device: String(dev),
    inode: String(ino),
    size: Number(size),
    mtimeNs,
    isLive,
    isBeingPacked,
  };
}

/** Whether both have the same files under the same names, none of them shorter in `later`. */
export function isSameFiles(earlier: Listing, later: Listing): boolean {
  const byPath = new Map(later.files.map((file) => [file.path, file]));
  return (
    earlier.files.length === later.files.length &&
    earlier.files.every(({ path, inode, device, size }) => {
      const file = byPath.get(path);
      return file !== undefined && file.inode === inode && file.device === device && file.size >= size;
    })
  );
}

const packedEnding = /\.(?:gz|zst)$/;
/** `.1`, `-20261127`, `.2026-11-27_17-01`, `.old`, … */
const suffix = /^[.\-_](?:[\dTZ:+._-]*\d[\dTZ:+._-]*|old)$/;

/** Whether `name` is one that a rotation of `of` gives: app.log.1, app.log-20261127.gz, app-2026-11-27.log, app.1.log. */
export function isRotated(name: string, of: string): boolean {
  const plain = name.replace(packedEnding, "");
  if (plain.startsWith(of) && suffix.test(plain.slice(of.length))) return true;
  const extension = extname(of);
  const stem = of.slice(0, of.length - extension.length);
  if (extension === "" || !plain.startsWith(stem) || !plain.endsWith(extension)) return false;
  return suffix.test(plain.slice(stem.length, plain.length - extension.length));
}

async function statIfAny(path: string): Promise<BigIntStats | undefined> {
  try {
    return await stat(path, { bigint: true });
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes((error as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw error;
  }
}
