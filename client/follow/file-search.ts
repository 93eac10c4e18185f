import { stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { FollowedFile } from "#client/follow/followed-file.ts";
import { find, isSameFiles, type Listing, listFiles } from "#client/follow/found-files.ts";
import { LogFile, MovedError } from "#client/follow/log-file.ts";
import { isInode, type Matching, matchFiles, toVersion } from "#client/follow/match-files.ts";

/** Longer than a clock tick of any file system, and than a rotation needs for two names. */
const quietMs = 30;
/** Finds what no change of a name reveals: a write to a file long after its rotation. */
const searchMs = 5_000;
const undecidedMs = 1_000;

export interface SearchResult {
  readonly matching: Matching<FollowedFile>;
  readonly listing: Listing;
}

/** Finds the files of one path, and trusts a listing only while no name changes. */
export class FileSearch {
  readonly #path: string;
  readonly #others: ReadonlySet<string>;
  #listing: { readonly at: number; readonly listing: Listing } | undefined;
  #settledFolder: bigint | undefined;
  #dueAt = 0;

  /** `others`: paths that are followed themselves. */
  constructor(path: string, others: ReadonlySet<string>) {
    this.#path = path;
    this.#others = others;
  }

  /** Requests a search, because something changed. */
  wanted(): void {
    this.#dueAt = 0;
  }

  /** Whether names are changing now. */
  get isUnsettled(): boolean {
    return this.#dueAt === 0;
  }

  /** `live`: the log that had the name at the last search. */
  async isDue(live: FollowedFile | undefined): Promise<boolean> {
    if (performance.now() >= this.#dueAt) return true;
    const found = await find(this.#path, { isLive: true });
    if (found === undefined ? live !== undefined : !live || !isInode(found, live.position)) return true;
    const folder = await stat(dirname(this.#path), { bigint: true }).catch(() => undefined);
    return (folder?.mtimeNs ?? 0n) !== this.#settledFolder;
  }

  /** Undefined while names are changing: search again soon. */
  async search(logs: readonly FollowedFile[]): Promise<SearchResult | undefined> {
    this.#dueAt = 0;
    const earlier = this.#listing;
    const listing = await listFiles(this.#path, this.#others);
    const isSame = earlier !== undefined && isSameFiles(earlier.listing, listing);
    const at = performance.now();
    this.#listing = { at: isSame ? earlier.at : at, listing };
    if (!isSame || at - earlier.at < quietMs) return undefined;
    try {
      const matching = await matchFiles(listing.files, logs);
      if (!(await this.#isStill(listing, matching))) return undefined;
      this.#settledFolder = listing.folderMtimeNs;
      const isDecided = matching.undecided.length === 0 && !matching.missing.some(({ isOpen }) => isOpen);
      this.#dueAt = at + (isDecided ? searchMs : undecidedMs);
      return { matching, listing };
    } catch (error) {
      if (error instanceof MovedError) return undefined;
      throw error;
    }
  }

  /** Whether nothing happened while the files were matched that would have changed the outcome. */
  async #isStill(listing: Listing, { pairs, copies, fresh }: Matching<FollowedFile>): Promise<boolean> {
    const later = await listFiles(this.#path, this.#others);
    if (!isSameFiles(listing, later)) return false;
    const versions = new Map(later.files.map((file) => [file.path, toVersion(file)]));
    const isUnchanged = (path: string, version: string) => versions.get(path) === version;
    const judged = [...copies.map(({ found }) => found), ...fresh.filter(({ isLive }) => !isLive)];
    if (!judged.every((found) => isUnchanged(found.path, toVersion(found)))) return false;
    for (const [{ position }, found] of pairs) {
      if (position.isPacked || position.isCopy || isUnchanged(found.path, toVersion(found))) continue;
      await using file = await LogFile.open(found);
      if (!(await file.continues(position))) return false;
    }
    return true;
  }
}
