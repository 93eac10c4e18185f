import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import type { ProgressRequest } from "#stream/session-progress.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { EpochRegistry } from "./epochs.ts";
import { ProgressReport, type StreamProgress } from "./report.ts";
import { ProgressSubscriptions } from "./subscriptions.ts";

const session = { deviceId: "d", sessionId: "s" };
const name = { ...session, droppedCount: 0n };

function startWatches(scope: { after(cleanUp: () => void): void }, idleMs?: number) {
  const asked: ProgressRequest[] = [];
  const ask = (question: ProgressRequest) => asked.push(question);
  const watches = new ProgressSubscriptions({ request: ask }, createRegistry("test"), idleMs);
  scope.after(() => watches.stop());
  return { asked, watches };
}

function startReport(watches: ProgressSubscriptions, epochs = new EpochRegistry()) {
  const said: StreamProgress[] = [];
  let sent: (() => void) | undefined;
  const send = (progress: StreamProgress, whenSent: () => void) => {
    said.push(progress);
    sent = whenSent;
  };
  const { shard } = new ProgressReport({
    session,
    shard: 0,
    epochs: epochs.snapshot,
    subscriptions: watches,
    send,
  });
  assert.equal(shard, 0);
  return {
    said,
    committed: () => said.map(({ committedThrough }) => Number(committedThrough)),
    sent: () => sent?.(),
  };
}

test("a device that does not read has one progress waiting, and reads the newest next", (t) => {
  const { watches } = startWatches(t);
  const epochs = new EpochRegistry();
  epochs.update(new Map([[0, 7n]]));
  const { committed, sent } = startReport(watches, epochs);
  for (const committed of [1n, 2n, 3n]) watches.onProgress({ ...name, committed });
  assert.deepEqual(committed(), [0]);
  sent();
  assert.deepEqual(committed(), [0, 3]);
  sent();
  watches.onProgress({ ...name, committed: 2n }); // overtaken
  assert.deepEqual(committed(), [0, 3]);
});

test("a device is told when fewer of its batches are only declared as dropped", (t) => {
  const { watches } = startWatches(t);
  const epochs = new EpochRegistry();
  epochs.update(new Map([[0, 7n]]));
  const { said, sent } = startReport(watches, epochs);
  for (const droppedCount of [2n, 2n, 1n, 2n]) {
    watches.onProgress({ ...session, committed: 5n, droppedCount });
    sent();
  }
  assert.deepEqual(
    said.map(({ committedThrough, droppedCount }) => [committedThrough, droppedCount]),
    [
      [0n, 0n],
      [5n, 2n],
      [5n, 1n],
    ],
  );
});

test("a stream keeps the epoch of its beginning, or the first there is", (t) => {
  const { watches } = startWatches(t);
  const epochs = new EpochRegistry();
  const early = startReport(watches, epochs);
  assert.deepEqual(early.said, []);
  epochs.update(new Map([[0, 7n]]));
  watches.epochsChanged();
  assert.deepEqual(early.said, [{ committedThrough: 0n, droppedCount: 0n, epoch: 7n }]);
  epochs.forget();
  const away = startReport(watches, epochs);
  epochs.update(new Map([[0, 9n]]));
  watches.epochsChanged();
  early.sent();
  watches.onProgress({ ...name, committed: 1n });
  assert.deepEqual(early.said.at(-1), { committedThrough: 1n, droppedCount: 0n, epoch: 7n });
  assert.equal(away.said[0]?.epoch, 9n);
});

test("what all streams of a session want is asked once, and kept until the last of them has gone", (t) => {
  const { asked, watches } = startWatches(t);
  const streams = [watches.subscribe(session, () => {}), watches.subscribe(session, () => {})];
  assert.deepEqual(asked, [{ ...session, withRanges: false }]);
  watches.onProgress({ ...name, committed: 5n });
  assert.deepEqual(
    streams.map(({ committed }) => committed?.committed),
    [5n, 5n],
  );
  for (const stream of streams) {
    assert.equal(watches.size, 1);
    stream.close();
    stream.close();
  }
  assert.equal(watches.size, 0);
});

test("a lost message about batches that came by another server is made up for by a question", async (t) => {
  const { asked, watches } = startWatches(t, 500);
  const stream = watches.subscribe(session, () => {});
  watches.onProgress({ ...name, committed: 1n });
  await waitFor("a question although nothing is expected here", () => asked.length === 2);
  watches.onProgress({ ...name, committed: 2n });
  assert.deepEqual(stream.committed, { committed: 2n, droppedCount: 0n });
});

test("without an answer a session is asked about ever more rarely, and at least every 20 s", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { asked, watches } = startWatches(t);
  watches.subscribe(session, () => {});
  const times: number[] = [];
  while (now < 300_000) {
    now += 500;
    t.mock.timers.tick(500);
    while (asked.length > times.length + 1) times.push(now);
  }
  const pauses = times.map((time, index) => time - (times[index - 1] ?? 0));
  assert(pauses.slice(0, 2).every((ms) => ms <= 5_500));
  assert(
    pauses.slice(3).every((ms) => ms >= 12_000 && ms <= 20_500),
    pauses.join(),
  );
});

test("asks again as long as there is no answer, and rarely once all is committed", async (t) => {
  const { asked, watches } = startWatches(t);
  const stream = watches.subscribe(session, () => {});
  const settled = { deviceId: "d", sessionId: "settled" };
  watches.subscribe(settled, () => {}).expect(1n);
  watches.onProgress({ ...settled, committed: 1n, droppedCount: 0n });
  const sessions = () => asked.map(({ sessionId }) => sessionId);
  await waitFor("a second question", () => asked.length === 3);
  watches.onProgress({ ...name, committed: 0n });
  stream.expect(1n);
  await waitFor("a question about what was acknowledged", () => asked.length === 4);
  assert.deepEqual(sessions(), ["s", "settled", "s", "s"]);
  watches.requestAll();
  await waitFor("a question about both", () => sessions().lastIndexOf("settled") > 3);
});
