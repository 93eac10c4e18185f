import { setImmediate } from "node:timers/promises";
import type { ReadDatabase } from "../query/read-database.ts";
import type { LogFilter } from "./log-filter.ts";
import type { LogOrder, LogPosition } from "./log-order.ts";
import { comparePositions } from "./log-order.ts";
import { Matcher } from "./match-logs.ts";
import { allColumns, type FoundLog, readBlocks, toFoundLog } from "./read-blocks.ts";
import type { WalkedBatch } from "./select-batches.ts";
import type { BlockColumn, StoredBlock } from "./stored-block.ts";

/** Which records a page may have. */
export interface PageBounds {
  readonly order: LogOrder;
  readonly after: LogPosition | undefined;
  /** Of records. */
  readonly limit: number;
  readonly bytesMax: number;
}

/** A matching record that was read. */
interface Candidate extends LogPosition {
  /** Its time rounded, which is enough to compare most of them, at a tenth of the cost. */
  readonly roundedTime: number;
  readonly bytes: number;
  readonly batch: WalkedBatch;
  readonly firstIndex: number;
  readonly place: number;
  /** Until it is decoded, while all of its columns were read. */
  block: StoredBlock | undefined;
  log: FoundLog | undefined;
}

/**
 * Collects the first matching records of blocks that come in any order. Where a batch alone decides the filter, blocks are
 * read whole. Otherwise nearly all records may be read for nothing, so only the columns that the filter needs are, and
 * the rest of those on the page at its end.
 */
export class PageBuilder {
  readonly #db: ReadDatabase;
  readonly #matcher: Matcher;
  readonly #compare: (a: LogPosition, b: LogPosition) => number;
  readonly #compareCandidates: (a: Candidate, b: Candidate) => number;
  readonly #after: LogPosition | undefined;
  readonly #bytesMax: number;
  readonly #isWhole: boolean;
  readonly #columns: ReadonlySet<BlockColumn>;
  #limit: number;
  /** In order. */
  #held: readonly Candidate[] = [];
  #added: Candidate[] = [];
  /** Of the blocks that candidates keep. */
  #blockBytes = 0;

  constructor(db: ReadDatabase, filter: LogFilter, { order, after, limit, bytesMax }: PageBounds) {
    this.#db = db;
    this.#matcher = new Matcher(filter);
    this.#compare = comparePositions(order);
    const sign = order.isOldestFirst ? 1 : -1;
    this.#compareCandidates = (a, b) => sign * (a.roundedTime - b.roundedTime) || this.#compare(a, b);
    this.#after = after;
    this.#limit = limit;
    this.#bytesMax = bytesMax;
    const { columns } = this.#matcher;
    this.#isWhole = [...columns].every((column) => column === "times");
    this.#columns = new Set(this.#isWhole ? allColumns : ["times", "indexes", ...columns]);
  }

  get limit(): number {
    return this.#limit;
  }

  /** The best so far, in order: at most `limit`. */
  get held(): readonly LogPosition[] {
    return this.#held;
  }

  /** Adds the matching records of these batches. */
  async read(batches: readonly WalkedBatch[]): Promise<void> {
    await readBlocks(this.#db, batches, this.#columns, (block) => this.#add(block));
    this.#settle();
    for (let from = 0; from < this.#held.length; from += recordsAtOnce) {
      if (from > 0) await setImmediate();
      this.#decode(this.#held.slice(from, from + recordsAtOnce));
    }
    this.#blockBytes = 0;
  }

  /** All fields of the first of what is held, up to the one that exceeds the bytes; whether that cut some off. */
  async finish(count: number): Promise<{ readonly logs: readonly FoundLog[]; readonly isCut: boolean }> {
    const wanted = this.#held.slice(0, count);
    const logs: FoundLog[] = [];
    let bytes = 0;
    for (let from = 0; from < wanted.length; from += recordsAtOnce) {
      const some = wanted.slice(from, from + recordsAtOnce);
      if (!this.#isWhole) await this.#readWhole(some);
      for (const { log } of some) {
        if (log === undefined) continue; // its day was dropped since
        if (bytes > this.#bytesMax) return { logs, isCut: true };
        bytes += log.bytes;
        logs.push(log);
      }
    }
    return { logs, isCut: false };
  }

  #add(block: StoredBlock): void {
    const places = this.#matcher.match(block);
    const last = this.#held.length === this.#limit ? this.#held.at(-1) : undefined;
    const { batch, firstIndex } = block;
    let isKept = false;
    for (const place of places) {
      const position = { timeMicros: block.timeMicros(place), batchId: batch.id, index: block.index(place) };
      if (this.#after !== undefined && this.#compare(position, this.#after) <= 0) continue;
      if (last !== undefined && this.#compare(position, last) > 0) continue;
      this.#added.push({
        ...position,
        roundedTime: Number(position.timeMicros),
        bytes: this.#isWhole ? block.bytes(place) : 0,
        batch: batch.walked,
        firstIndex,
        place,
        block: this.#isWhole ? block : undefined,
        log: undefined,
      });
      isKept = true;
    }
    if (isKept && this.#isWhole) this.#blockBytes += block.size;
    if (this.#added.length > this.#limit + addedMax) this.#settle();
    if (this.#blockBytes > blockBytesMax) {
      this.#settle();
      this.#decode(this.#held);
      this.#blockBytes = 0;
    }
  }

  /** Keeps the best. */
  #settle(): void {
    if (this.#added.length === 0) return;
    const best = [...this.#held, ...this.#added].sort(this.#compareCandidates).slice(0, this.#limit);
    this.#added = [];
    let sum = 0;
    const end = best.findIndex(({ bytes }) => (sum += bytes) > this.#bytesMax);
    // The rest is for the next page, also of what is read from now on.
    if (end >= 0) this.#limit = end + 1;
    this.#held = best.slice(0, this.#limit);
  }

  #decode(candidates: readonly Candidate[]): void {
    for (const candidate of candidates) {
      if (candidate.block === undefined) continue;
      candidate.log = toFoundLog(candidate.block, candidate.place);
      candidate.block = undefined;
    }
  }

  async #readWhole(candidates: readonly Candidate[]): Promise<void> {
    const batches = new Map(candidates.map(({ batch }) => [batch.id, batch]));
    const firstIndexes = new Set(candidates.map(({ firstIndex }) => firstIndex));
    const ofBlock = Map.groupBy(candidates, blockKey);
    const decode = (block: StoredBlock) => {
      const key = blockKey({ batch: block.batch.walked, firstIndex: block.firstIndex });
      for (const candidate of ofBlock.get(key) ?? []) candidate.log = toFoundLog(block, candidate.place);
    };
    await readBlocks(this.#db, [...batches.values()], new Set(allColumns), decode, firstIndexes);
  }
}

function blockKey({ batch, firstIndex }: Pick<Candidate, "batch" | "firstIndex">): string {
  return `${batch.id} ${firstIndex}`;
}

/** Sorting them costs about a millisecond. */
const addedMax = 4096;
const blockBytesMax = 32 * 1024 * 1024;
/** About 2 ms of decoding; at most 64 MB. */
const recordsAtOnce = 1000;
