import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { Client } from "pg";
import { from as copyFrom } from "pg-copy-streams";
import { copyBytesMax, copyStatement } from "#batch/copy-format.ts";
import { CopyRows } from "#batch/copy-rows.ts";
import { InvalidBatchError } from "#batch/invalid-batch.ts";
import { limits } from "#batch/limits.ts";
import { type ScannedBatch, scan } from "#batch/scan.ts";
import { mutated } from "#batch/testing/mutated.ts";
import type { Random } from "#batch/testing/random.ts";
import { randomBatch } from "#batch/testing/random-batch.ts";
import { readCopy } from "#batch/testing/read-copy.ts";
import { unwrapRequest } from "#server/unwrap-request.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";

const receivedAtMicros = 1_760_000_000_000_001;
const copyAtBytes = 1 << 20;

/** Of the batches that are taken, this share goes into PostgreSQL. */
const copiedEvery = 10;

export const batches: Block = {
  name: "batches",
  title: "mutated batches: an InvalidBatchError, or rows that PostgreSQL takes",
  countFull: 200_000,
  countSmoke: 1_000,
  workers: 1,
  async start({ databaseUrl }): Promise<BlockRun> {
    const client = new Client({ connectionString: databaseUrl });
    await client.connect();
    // Stands before the real table of that name for this connection alone.
    await client.query("create temporary table record_batches (like public.record_batches including all)");
    return new BatchesRun(client);
  },
};

/** A batch with one to three things wrong, seldom more. */
export function mutatedBatch(random: Random): Buffer {
  let bytes = mutated(random, randomBatch(random).bytes, randomBatch(random).bytes);
  while (random.chance(0.1)) bytes = mutated(random, bytes, randomBatch(random).bytes);
  return bytes;
}

class BatchesRun implements BlockRun {
  readonly #client: Client;
  readonly #one = new CopyRows(copyBytesMax(2 * limits.batchBytesMax, limits.recordsMax));
  readonly #rows = new CopyRows(copyBytesMax(copyAtBytes + limits.batchBytesMax, 2_000_000));
  #taken: { index: number; scanned: ScannedBatch }[] = [];

  constructor(client: Client) {
    this.#client = client;
  }

  async tryOne(random: Random, index: number, note: (what: string) => void): Promise<string> {
    const bytes = mutatedBatch(random);
    note(bytes.toString("hex"));
    let scanned: ScannedBatch;
    try {
      scanned = scan(random.chance(0.1) ? unwrapRequest(bytes).batch : bytes);
    } catch (error) {
      if (!(error instanceof InvalidBatchError)) throw error;
      return `refused for ${error.field}`;
    }
    this.#one.clear();
    this.#one.append(scanned, BigInt(index), { receivedAtMicros });
    const rows = readCopy(this.#one.finish());
    if (rows.length !== scanned.acceptedCount) {
      throw new BrokenPromiseError(`${scanned.acceptedCount} records accepted, ${rows.length} rows written`);
    }
    if (random.below(copiedEvery) === 0) {
      this.#taken.push({ index, scanned });
      this.#rows.append(scanned, BigInt(index), { receivedAtMicros });
      if (this.#rows.byteCount >= copyAtBytes) await this.#copyAll();
    }
    return scanned.rejections.length > 0 ? "taken without some records" : "taken";
  }

  async finish(): Promise<void> {
    try {
      await this.#copyAll();
    } finally {
      await this.#client.end();
    }
  }

  async #copyAll(): Promise<void> {
    const taken = this.#taken;
    this.#taken = [];
    try {
      await this.#copy(this.#rows);
    } catch {
      for (const { index, scanned } of taken) {
        this.#one.clear();
        this.#one.append(scanned, BigInt(index), { receivedAtMicros });
        await this.#copy(this.#one).catch((error: unknown) => {
          throw new BrokenPromiseError(`PostgreSQL refuses case ${index}: ${String(error)}`);
        });
      }
    }
    this.#rows.clear();
  }

  async #copy(rows: CopyRows): Promise<void> {
    await pipeline(Readable.from([rows.finish()]), this.#client.query(copyFrom(copyStatement)));
    // What is stored must also be read: PostgreSQL parses the texts of attributes only then.
    await this.#client.query("select text::jsonb from record_batches, unnest(attributes) as text");
    await this.#client.query("truncate record_batches");
  }
}
