import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { Redis } from "ioredis";
import { Client as Database } from "pg";
import type { Random } from "#batch/testing/random.ts";
import { wrapBatch } from "#server/testing/batches.ts";
import { openStream, pushGrpc } from "#server/testing/grpc-device.ts";
import { allShards } from "#stream/keys.ts";
import { readLag } from "#stream/lag.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type Block, type BlockRun, BrokenPromiseError } from "../block.ts";
import type { Target } from "../target.ts";
import { mutatedBatch } from "./batches.ts";

export const calls: Block = {
  name: "calls",
  title: "mutated batches over gRPC: acknowledged and stored, or INVALID_ARGUMENT",
  countFull: 5_000,
  countSmoke: 150,
  workers: 8,
  start: async ({ system }) => new CallsRun(system),
};

class CallsRun implements BlockRun {
  readonly #client: Client;
  readonly #system: Target["system"];

  constructor(system: Target["system"]) {
    this.#client = new Client(system.nginx.grpc, credentials.createInsecure());
    this.#system = system;
  }

  async tryOne(random: Random, _index: number, note: (what: string) => void): Promise<string> {
    const bytes = mutatedBatch(random);
    const request = random.chance(0.9) ? wrapBatch(bytes) : bytes;
    const isStream = random.chance(0.5);
    note(`${isStream ? "stream" : "unary"} ${Buffer.from(request).toString("hex")}`);
    const { code, message } = await (isStream ? this.#stream(request) : this.#push(request));
    const name = status[code] ?? String(code);
    if (name !== "OK" && name !== "INVALID_ARGUMENT") {
      throw new BrokenPromiseError(`${name}: ${message}`);
    }
    return name;
  }

  /** What was acknowledged is stored, all of it: nothing in the stream turned out not to be a batch. */
  async finish(): Promise<void> {
    this.#client.close();
    await waitUntilStored(this.#system.redis.url);
    const database = new Database({ connectionString: this.#system.databaseUrl });
    await database.connect();
    try {
      const { rows } = await database.query(
        "select reason from dead_letters where entry is not null limit 3",
      );
      if (rows.length > 0) throw new BrokenPromiseError(`accepted, but not stored: ${JSON.stringify(rows)}`);
    } finally {
      await database.end();
    }
  }

  async #push(request: Uint8Array) {
    try {
      await pushGrpc(this.#client, request);
      return { code: status.OK, message: "" };
    } catch (error) {
      const { code, details } = error as ServiceError;
      return { code, message: details };
    }
  }

  async #stream(request: Uint8Array): Promise<{ code: number; message: string }> {
    const stream = openStream(this.#client);
    stream.send(request);
    stream.call.end();
    const { code, details } = await stream.ended;
    const [ack] = stream.acks;
    if (code > 0) return { code, message: details };
    if (ack === undefined) throw new BrokenPromiseError("the stream ended with OK and without an ack");
    return { code: ack.error?.code ?? status.OK, message: ack.error?.message ?? "" };
  }
}

async function waitUntilStored(redisUrl: string): Promise<void> {
  const redis = new Redis(redisUrl);
  try {
    await waitFor("what was acknowledged to be stored", async () => {
      const lags = await readLag(redis, allShards(shardCount));
      return lags.every(
        ({ pendingEntries, undelivered }) => pendingEntries === 0 && undelivered.atMost === 0,
      );
    });
  } finally {
    redis.disconnect();
  }
}

/** The programs' default. */
const shardCount = 4;
