import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type OpenStream, OpenStreams } from "./open-streams.ts";

test("sends heartbeats on a quiet stream, and none on a busy one", async (t) => {
  const streams = new OpenStreams({ heartbeatMs: 40, ageMsMax: 3_600_000 }, createRegistry("test"));
  t.after(() => streams.endAll());
  const heartbeats = { busy: 0, quiet: 0 };
  const add = (name: keyof typeof heartbeats) => {
    const stream: OpenStream = {
      end: async () => {},
      isOutdated: false,
      consumeActivityFlag: () => name === "busy",
      sendHeartbeat: () => (heartbeats[name] += 1),
    };
    streams.add(stream);
  };
  add("busy");
  add("quiet");
  await waitFor("heartbeats", () => heartbeats.quiet >= 3);
  assert.equal(heartbeats.busy, 0);
});

test("sends a heartbeat before a stream is quiet for longer than the limit", async (t) => {
  const heartbeatMs = 2_000;
  t.mock.timers.enable({ apis: ["setInterval"] });
  let now = 1_000; // a whole number, for sums of fractions are not exact
  t.mock.method(performance, "now", () => now);
  const ticking = new OpenStreams({ heartbeatMs, ageMsMax: 3_600_000 }, createRegistry("ticking"));
  let isActive = false;
  let lastAt = now;
  const quiet: number[] = [];
  ticking.add({
    end: async () => {},
    isOutdated: false,
    consumeActivityFlag: () => {
      const was = isActive;
      isActive = false;
      return was;
    },
    sendHeartbeat() {
      quiet.push(now - lastAt);
      lastAt = now;
    },
  });
  for (let step = 1; step <= 2_000; step += 1) {
    now += 10;
    t.mock.timers.tick(10);
    // Traffic at odd moments of the first ten seconds.
    if (step < 1_000 && step % 237 === 0) {
      isActive = true;
      lastAt = now;
    }
  }
  assert.ok(quiet.length >= 9, String(quiet));
  assert.ok(Math.max(...quiet) <= heartbeatMs, String(quiet));
  assert.ok(Math.min(...quiet) >= 0.7 * heartbeatMs, String(quiet));
  await ticking.endAll();
});

test("ends every stream that reports an outdated epoch, now and later, and no other", async (t) => {
  const streams = new OpenStreams({ heartbeatMs: 40, ageMsMax: 3_600_000 }, createRegistry("test"));
  t.after(() => streams.endAll());
  const ended: string[] = [];
  const add = (name: string, isOutdated: boolean) => {
    const stream = {
      end: async () => void ended.push(name),
      isOutdated,
      consumeActivityFlag: () => true,
      sendHeartbeat: () => {},
    };
    streams.add(stream);
    return stream;
  };
  add("old", true);
  const other = add("new", false);
  await streams.endOutdated();
  assert.deepEqual(ended, ["old"]);
  other.isOutdated = true;
  await waitFor("the other to end", () => ended.length === 2);
  assert.deepEqual(ended, ["old", "new"]);
});
