import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { toMessages } from "#client/testing/following.ts";
import { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

const project = fileURLToPath(new URL("../..", import.meta.url));
const kills = 16;

test("sends every line exactly once while the file rotates and the follower is killed again and again", async (t) => {
  const seed = Number(process.env.FOLLOW_SEED ?? Math.floor(Math.random() * 1e9));
  t.diagnostic(`seed ${seed}`);
  const folder = await mkdtemp(join(tmpdir(), "fleetlog-kill-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const path = join(folder, "app.log");
  using peer = await new TestPeer().start();
  // The peer acknowledges some batches and stays silent about others.
  peer.answer = () => (Math.random() < 0.02 ? "cut" : {});

  let problems = "";
  const start = (...args: readonly string[]): ChildProcess => {
    const child = spawn(process.execPath, args, { cwd: project, stdio: ["ignore", "pipe", "pipe"] });
    child.stderr?.on("data", (said) => {
      problems += said;
    });
    t.after(() => child.kill("SIGKILL"));
    return child;
  };
  const options = [
    "--follow",
    "--device",
    "killed",
    "--address",
    peer.address,
    "--spool",
    join(folder, "spool"),
  ];
  const follow = () => start("client/fleetlog.mjs", "send", ...options, path);

  // Files rotated before the path was ever followed are not sent.
  const first = follow();
  await waitFor("the path in the positions", () => readFileSync(join(folder, "spool/positions"), "utf8"));
  first.kill("SIGKILL");
  await once(first, "exit");
  const writer = start("client/testing/rotating-writer.ts", path, String(seed));
  const written = text(writer.stdout!);
  for (let round = 0; round < kills; round++) {
    const follower = follow();
    const before = peer.seen.length;
    if (round % 2 === 0)
      await waitFor("a batch", () => peer.seen.length > before || follower.exitCode !== null);
    await sleep(Math.random() * 1_500);
    assert.equal(follower.exitCode, null, problems);
    follower.kill("SIGKILL");
    await once(follower, "exit");
    await sleep(Math.random() * 500);
  }
  const last = follow();
  writer.kill("SIGTERM");
  const count = Number(await written);
  const distinct = () => new Set(toMessages(peer).map((message) => message.split(" ", 2)[1]));
  await waitFor("the last line", () => distinct().size >= count, 60_000).catch(() => {});
  const exited = once(last, "exit");
  last.kill("SIGTERM");
  const [exitCode] = await exited;

  const counts = new Map<string, number>();
  for (const message of toMessages(peer)) {
    const number = /^line (\d+) x*$/.exec(message)?.[1] ?? message;
    counts.set(number, (counts.get(number) ?? 0) + 1);
  }
  t.diagnostic(`${count} lines`);
  const wrong: string[] = [];
  for (let number = 0; number < count; number++) {
    const times = counts.get(String(number)) ?? 0;
    const isLikeBefore = wrong.at(-1)?.endsWith(`${number - 1}: ${times} times`);
    const first = isLikeBefore ? wrong.pop()!.split("-")[0] : number;
    if (times !== 1) wrong.push(`${first}-${number}: ${times} times`);
  }
  assert.deepEqual(wrong, [], `seed ${seed}, of ${count} lines; ${problems}`);
  assert.equal(counts.size, count, [...counts.keys()].filter((key) => !/^\d+$/.test(key)).join());
  assert.equal(exitCode, 0, problems);
});
