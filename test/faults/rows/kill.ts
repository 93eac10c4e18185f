import { hostname } from "node:os";
import { Client } from "pg";
import { withDeadline } from "#lib/deadline.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { growth } from "../counters.ts";
import { pendingByConsumer } from "../drained.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import type { Fixture } from "../fixture.ts";
import type { Piece } from "../hop.ts";
import { findChildren } from "../processes.ts";

// SIGKILL: of a part as a whole, and of a consumer at the three moments that matter. What ends is started again, as a
// supervisor would; Nginx and PostgreSQL replace a worker or a backend themselves.

export const killRows: readonly Fault[] = [
  {
    name: "kill-server",
    title: "SIGKILL of an ingest server",
    runsFull: 100,
    async inject({ fixture, random, fleet }) {
      const server = random.pick(fixture.system.servers);
      // Nginx answers a call that it had passed on as UNAVAILABLE.
      const interrupted = () => fleet.tally.broken + (fleet.tally.later.get(14) ?? 0);
      const before = interrupted();
      await server.kill();
      await server.start();
      return () => words(interrupted() - before, "streams and calls broken");
    },
  },
  {
    name: "kill-consumer",
    title: "SIGKILL of a consumer",
    runsFull: 100,
    async inject({ fixture, random }) {
      const index = random.below(fixture.system.consumers.length);
      await fixture.system.consumers[index]!.kill();
      const evidence = await leftBehind(fixture, index);
      await fixture.system.consumers[index]!.start();
      return evidence;
    },
  },
  {
    name: "kill-consumer-before-commit",
    title: "SIGKILL of a consumer before COMMIT",
    runsFull: 100,
    inject: (scene) =>
      killConsumerWhen(scene, "consumersPostgres", async ({ direction, bytes }, kill) => {
        if (direction !== "up" || !bytes.includes("commit\0")) return false;
        await kill();
        return true;
      }),
  },
  {
    name: "kill-consumer-before-xack",
    title: "SIGKILL of a consumer after COMMIT, before XACK",
    runsFull: 100,
    inject: (scene) =>
      killConsumerWhen(scene, "consumersRedis", async ({ direction, bytes }, kill) => {
        if (direction !== "up" || !bytes.includes("xack")) return false;
        await kill();
        return true;
      }),
  },
  {
    name: "kill-consumer-after-xack",
    title: "SIGKILL of a consumer after XACK",
    runsFull: 100,
    async inject(scene) {
      let acknowledgedBy = 0;
      await killConsumerWhen(scene, "consumersRedis", async ({ link, direction, bytes }, kill) => {
        if (direction === "up" && bytes.includes("xack")) acknowledgedBy = link.number;
        if (direction !== "down" || link.number !== acknowledgedBy) return false;
        await kill();
        return true;
      });
      return () => (acknowledgedBy > 0 ? "killed when Redis had answered the XACK" : "");
    },
  },
  {
    name: "kill-redis",
    title: "SIGKILL of Redis",
    runsFull: 100,
    async inject({ fixture, fleet }) {
      fixture.redis.child.kill();
      await fixture.reviveRedis();
      return () => words(fleet.tally.later.get(14) ?? 0, "batches refused as UNAVAILABLE");
    },
  },
  {
    name: "kill-backend",
    title: "SIGKILL of a PostgreSQL backend",
    runsFull: 100,
    async inject({ fixture, before }) {
      const client = new Client({ connectionString: fixture.postgres.url });
      client.on("error", () => {}); // PostgreSQL ends every session when a backend dies
      await client.connect();
      const pid = await waitFor("a flush", async () => {
        const { rows } = await client.query<{ pid: number }>(
          "select pid from pg_stat_activity where application_name = 'fleetlog-consumer' and state <> 'idle'",
        );
        return rows[0]?.pid;
      });
      process.kill(pid, "SIGKILL");
      await client.end().catch(() => {});
      return (after) => words(growth(before, after, "fleetlog_flush_retries_total"), "flushes tried again");
    },
  },
  {
    name: "kill-postgres",
    title: "SIGKILL of the postmaster",
    runsFull: 100,
    async inject({ fixture, before }) {
      fixture.postgres.child.kill();
      await fixture.revivePostgres();
      return (after) => words(growth(before, after, "fleetlog_flush_retries_total"), "flushes tried again");
    },
  },
  {
    name: "kill-nginx-worker",
    title: "SIGKILL of an Nginx worker",
    runsFull: 100,
    async inject({ fixture, random, fleet }) {
      const { broken } = fleet.tally;
      const workers = findChildren(fixture.system.nginx.pid);
      const victim = random.pick(workers);
      process.kill(victim, "SIGKILL");
      await waitFor("a new worker", () => {
        const now = findChildren(fixture.system.nginx.pid);
        return !now.includes(victim) && now.length === workers.length;
      });
      return () => words(fleet.tally.broken - broken, "streams and calls broken");
    },
  },
];

/** What a consumer that was killed had read and not acknowledged; call before it starts again. */
async function leftBehind(fixture: Fixture, index: number): Promise<Evidence> {
  const pending = await pendingByConsumer(fixture);
  const name = index === 0 ? "consumer-1" : `${hostname()}-${fixture.system.consumers[index]!.pid}`;
  return () => words(pending.get(name) ?? 0, "entries read and not acknowledged");
}

/** Kills the consumer whose traffic first meets the condition; the piece that did it goes no further. */
async function killConsumerWhen(
  { fixture, random }: Scene,
  hops: "consumersPostgres" | "consumersRedis",
  isMoment: (piece: Piece, kill: () => Promise<void>) => Promise<boolean>,
): Promise<Evidence> {
  const index = random.below(fixture.system.consumers.length);
  const consumer = fixture.system.consumers[index]!;
  const hop = fixture.hops[hops][index]!;
  const killed = Promise.withResolvers<void>();
  let isOver = false;
  hop.tamper(async (piece) => {
    if (isOver) return;
    const kill = async () => {
      isOver = true;
      await consumer.kill();
      killed.resolve();
    };
    if (!(await isMoment(piece, kill))) await piece.pass(piece.bytes);
  });
  await withDeadline("the moment to kill", 10_000, killed.promise);
  hop.cutAll();
  hop.tamper(undefined);
  const evidence = await leftBehind(fixture, index);
  await consumer.start();
  return evidence;
}
