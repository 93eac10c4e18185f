import { spawnSync } from "node:child_process";
import { rmSync, statfsSync, writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { withDeadline } from "#lib/deadline.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { growth } from "../counters.ts";
import { backlog } from "../drained.ts";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";

// A store that is unreachable, full, or cannot write.

let diskFolder = "";

export const outageRows: readonly Fault[] = [
  {
    name: "postgres-away",
    title: "PostgreSQL away while devices go on (60 s, full run 10 min)",
    runsFull: 1,
    async inject({ fixture, lasting, journal, before }) {
      const acknowledged = journal.acknowledgedCount;
      await fixture.postgres.stop();
      await sleep(lasting(6, 60, 600));
      const meanwhile = journal.acknowledgedCount - acknowledged;
      await fixture.revivePostgres();
      return (after) => {
        const retries = growth(before, after, "fleetlog_flush_retries_total");
        return meanwhile > 0 && retries > 0
          ? `${meanwhile} batches acknowledged meanwhile, ${retries} retries`
          : "";
      };
    },
  },
  {
    name: "redis-full",
    title: "Redis out of memory",
    runsFull: 10,
    async inject({ fixture, lasting, fleet }) {
      const full = () => fleet.tally.later.get(8) ?? 0;
      const before = full();
      await fixture.redisAdmin.config("SET", "maxmemory", "1mb");
      await waitFor("refusals", () => full() > before);
      await sleep(lasting(0.5, 4));
      // Draining goes on without memory: only appends are refused.
      await waitFor("the backlog to drain", async () => (await backlog(fixture)).length === 0);
      await fixture.redisAdmin.config("SET", "maxmemory", "1gb");
      return () => words(full() - before, "batches refused as RESOURCE_EXHAUSTED");
    },
  },
  {
    name: "redis-disk-full",
    title: "Redis's disk full",
    runsFull: 10,
    impossible: () => (canMount() ? "" : "needs root, to mount a small filesystem"),
    async prepare() {
      diskFolder = await mkdtemp(join(tmpdir(), "fleetlog-disk-"));
      await execa("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", diskFolder]);
      return {
        redisSettings: { dir: `"${diskFolder}"` },
        [Symbol.asyncDispose]: async () => {
          await execa("umount", ["--lazy", diskFolder]);
          await rm(diskFolder, { recursive: true, force: true });
        },
      };
    },
    async inject(scene) {
      const filler = join(diskFolder, "filler");
      const { bavail, bsize } = statfsSync(diskFolder);
      writeFileSync(filler, Buffer.alloc(bavail * bsize - 4096));
      return await redisEndsByItself(scene, () => rmSync(filler));
    },
  },
  {
    name: "redis-fsync-fails",
    title: "fsync of Redis's append-only file fails",
    runsFull: 10,
    impossible: () => (canTrace() ? "" : "needs strace, allowed to trace, to make fsync fail"),
    async inject(scene) {
      const strace = execa(
        "strace",
        [
          "-f",
          "-p",
          String(scene.fixture.redis.pid),
          "-o",
          "/dev/null",
          "-e",
          "inject=fdatasync,fsync:error=EIO",
        ],
        { reject: false },
      );
      return await redisEndsByItself(scene, () => strace);
    },
  },
];

/** Redis cannot keep what it acknowledges, so it has to end rather than go on. */
async function redisEndsByItself({ fixture, fleet }: Scene, heal: () => unknown): Promise<Evidence> {
  const exit = await withDeadline("Redis to end", 20_000, fixture.redis.child.exited);
  await heal();
  await fixture.reviveRedis();
  return () => {
    const refused = fleet.tally.later.get(14) ?? 0;
    return exit.code === 0
      ? ""
      : words(refused, `batches refused after Redis ended (exit code ${exit.code})`);
  };
}

function canMount(): boolean {
  if (process.getuid?.() !== 0) return false;
  const folder = join(tmpdir(), `fleetlog-mount-${process.pid}`);
  const script =
    'mkdir "$1" && mount -t tmpfs -o size=64k tmpfs "$1" && umount "$1"; code=$?; rmdir "$1"; exit $code';
  return spawnSync("sh", ["-c", script, "sh", folder], { stdio: "ignore" }).status === 0;
}

function canTrace(): boolean {
  return spawnSync("strace", ["-o", "/dev/null", "true"], { stdio: "ignore" }).status === 0;
}
