import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "#test/support/wait-for.ts";
import { growth } from "../counters.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import type { Hops } from "../fixture.ts";
import type { Filter, Hop } from "../hop.ts";

// Every way between two parts, disturbed in every way, and the three answers whose loss leaves both sides with a
// different opinion of what happened.

interface Path {
  readonly name: string;
  readonly title: string;
  readonly hops: (hops: Hops) => readonly Hop[];
}

const paths: readonly Path[] = [
  { name: "device", title: "device → Nginx", hops: (all) => [all.deviceGrpc, all.deviceHttp] },
  { name: "server-redis", title: "server → Redis", hops: (all) => [all.serversRedis] },
  { name: "consumer-redis", title: "consumer → Redis", hops: (all) => all.consumersRedis },
  { name: "consumer-postgres", title: "consumer → PostgreSQL", hops: (all) => all.consumersPostgres },
];

export const networkRows: readonly Fault[] = paths.flatMap(({ name, title, hops }) => [
  {
    name: `reset-${name}`,
    title: `${title}: connections reset, again and again`,
    runsFull: 10,
    async inject({ fixture, random, lasting }: Scene): Promise<Evidence> {
      const until = performance.now() + lasting(1, 4);
      let cut = 0;
      while (performance.now() < until) {
        for (const hop of hops(fixture.hops)) cut += hop.cutAll();
        await sleep(100 + random.below(300));
      }
      return () => words(cut, "connections reset");
    },
  },
  {
    name: `hang-${name}`,
    title: `${title}: nothing gets through, no connection breaks`,
    runsFull: 10,
    inject: (scene: Scene) => {
      const over = Promise.withResolvers<void>();
      return tampered(
        hops(scene.fixture.hops),
        scene.lasting(3, 6, 12),
        over.resolve,
        async ({ pass, bytes }) => {
          await over.promise;
          await pass(bytes);
        },
      );
    },
  },
  {
    name: `latency-${name}`,
    title: `${title}: 50 ± 50 ms`,
    runsFull: 10,
    inject: (scene: Scene) =>
      tampered(
        hops(scene.fixture.hops),
        scene.lasting(2, 5),
        () => undefined,
        async ({ pass, bytes }) => {
          await sleep(scene.random.below(100));
          await pass(bytes);
        },
      ),
  },
  {
    name: `slices-${name}`,
    title: `${title}: one byte at a time`,
    runsFull: 10,
    inject: (scene: Scene) =>
      tampered(
        hops(scene.fixture.hops),
        scene.lasting(2, 5),
        () => undefined,
        async ({ pass, bytes }) => {
          const sliced = Math.min(bytes.length, 2_048);
          for (let at = 0; at < sliced; at += 1) {
            await pass(bytes.subarray(at, at + 1));
            await new Promise(setImmediate); // else the kernel puts them together again
          }
          if (sliced < bytes.length) await pass(bytes.subarray(sliced));
        },
      ),
  },
]);

export const lostAckRows: readonly Fault[] = [
  {
    name: "lost-commit-reply",
    title: "The answer to COMMIT lost",
    runsFull: 25,
    inject: (scene) =>
      loseAcks(scene, scene.fixture.hops.consumersPostgres, (bytes) => bytes.includes("commit\0")),
  },
  {
    name: "lost-xadd-reply",
    title: "The answer to XADD lost",
    runsFull: 25,
    inject: (scene) => loseAcks(scene, [scene.fixture.hops.serversRedis], (bytes) => bytes.includes("xadd")),
  },
  {
    name: "lost-ack",
    title: "The acknowledgement to the device lost",
    runsFull: 25,
    inject: ({ fixture, ...scene }) =>
      loseAcks(
        { fixture, ...scene },
        [fixture.hops.deviceGrpc, fixture.hops.deviceHttp],
        (bytes) => bytes.length > 150,
      ),
  },
];

async function tampered(
  hops: readonly Hop[],
  forMs: number,
  end: () => void,
  filter: Filter,
): Promise<Evidence> {
  let pieces = 0;
  for (const hop of hops) {
    hop.tamper((piece) => {
      pieces += 1;
      return filter(piece);
    });
  }
  await sleep(forMs);
  for (const hop of hops) hop.tamper(undefined);
  end();
  return () => words(pieces, "pieces of traffic held up");
}

/** Lets questions of one kind through and breaks the connection in place of their answers, several times. */
async function loseAcks(
  { before, lasting }: Scene,
  hops: readonly Hop[],
  isQuestion: (bytes: Buffer) => boolean,
): Promise<Evidence> {
  const asked = new Set<unknown>();
  let lost = 0;
  for (const hop of hops) {
    hop.tamper(async ({ link, direction, bytes, pass }) => {
      if (direction === "down" && asked.delete(link)) {
        lost += 1;
        link.cut();
        return;
      }
      if (direction === "up" && lost + asked.size < 5 && isQuestion(bytes)) asked.add(link);
      await pass(bytes);
    });
  }
  // Fewer are enough while most requests fail.
  await waitFor("five lost answers", () => lost === 5, lasting(3, 5)).catch(() => undefined);
  for (const hop of hops) hop.tamper(undefined);
  return (after) => {
    const duplicates = growth(before, after, "fleetlog_consumed_batches_total", 'outcome="duplicate"');
    return lost > 0 ? words(duplicates, `batches came again after ${lost} lost answers`) : "";
  };
}
