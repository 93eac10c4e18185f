import { setTimeout as sleep } from "node:timers/promises";
import { growth } from "../counters.ts";
import { pendingByConsumer } from "../drained.ts";
import { type Fault, type Scene, words } from "../fault.ts";
import { findChildren, findTree, signalAll } from "../processes.ts";

// SIGSTOP and, later, SIGCONT: a process that lives and does nothing, as when a machine swaps or a VM is moved. The long
// ones outlast every timeout that a client of the part has, and the time after which entries are taken over.

type Target = "server" | "consumer" | "redis" | "postgres" | "nginx-worker";

const titles: Readonly<Record<Target, string>> = {
  server: "an ingest server",
  consumer: "a consumer",
  redis: "Redis",
  postgres: "PostgreSQL",
  "nginx-worker": "an Nginx worker",
};

export const standStillRows: readonly Fault[] = (Object.keys(titles) as Target[]).flatMap((part) => [
  {
    name: `stop-${part}`,
    title: `SIGSTOP/CONT of ${titles[part]}`,
    runsFull: 10,
    inject: (scene: Scene) => standStill(scene, part, scene.lasting(1.5, 1.5, 2.5), false),
  },
  {
    name: `stop-${part}-long`,
    title: `SIGSTOP/CONT of ${titles[part]}, past every timeout`,
    runsFull: 10,
    inject: (scene: Scene) => standStill(scene, part, scene.lasting(10, 10, 15), true),
  },
]);

async function standStill(scene: Scene, part: Target, forMs: number, isLong: boolean) {
  const { fixture, journal, before } = scene;
  const pids = findPids(scene, part);
  const pending = () =>
    pendingByConsumer(fixture).then((all) => [...all.values()].reduce((a, b) => a + b, 0));
  let waiting = 0;
  signalAll(pids, "SIGSTOP");
  try {
    const stoppedAt = performance.now();
    // Before the devices' own timeout, after which they ask somewhere else.
    const sampleMs = Math.min(forMs / 2, 2_000);
    await sleep(sampleMs);
    waiting = journal.batches.filter(
      (batch) => batch.outcome === "none" && batch.sentAtMs < stoppedAt + 100,
    ).length;
    await sleep(forMs - sampleMs);
    if (part === "consumer" || part === "postgres") waiting = await pending();
  } finally {
    signalAll(pids, "SIGCONT");
  }
  return (after: Scene["before"]) => {
    const reclaimed = growth(before, after, "fleetlog_reclaimed_entries_total");
    if (isLong && part === "consumer") return words(reclaimed, "entries taken over from it");
    return words(waiting, `batches waited for ${titles[part]}`);
  };
}

function findPids({ fixture, random }: Scene, part: Target): readonly number[] {
  const { servers, consumers, nginx } = fixture.system;
  const pick = {
    server: () => [random.pick(servers).pid],
    consumer: () => [random.pick(consumers).pid],
    redis: () => [fixture.redis.pid],
    postgres: () => findTree(fixture.postgres.pid),
    "nginx-worker": () => [random.pick(findChildren(nginx.pid))],
  };
  return pick[part]();
}
