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
  const subscriptions = new ProgressSubscriptions({ request: ask }, createRegistry("test"), idleMs);
  scope.after(() => subscriptions.stop());
  return { asked, subscriptions };
}

function startReport(subscriptions: ProgressSubscriptions, epochs = new EpochRegistry()) {
  const sentProgress: StreamProgress[] = [];
  let sent: (() => void) | undefined;
  const send = (progress: StreamProgress, whenSent: () => void) => {
    sentProgress.push(progress);
    sent = whenSent;
  };
  const { shard } = new ProgressReport({
    session,
    shard: 0,
    epochs: epochs.snapshot,
    subscriptions,
    send,
  });
  assert.equal(shard, 0);
  return {
    sentProgress,
    committed: () => sentProgress.map(({ committedThrough }) => Number(committedThrough)),
    sent: () => sent?.(),
  };
}

test("for a device that does not read one progress waits, and the newest comes next", (t) => {
  const { subscriptions } = startWatches(t);
  const epochs = new EpochRegistry();
  epochs.update(new Map([[0, 7n]]));
  const { committed, sent } = startReport(subscriptions, epochs);
  for (const committed of [1n, 2n, 3n]) subscriptions.onProgress({ ...name, committed });
  assert.deepEqual(committed(), [0]);
  sent();
  assert.deepEqual(committed(), [0, 3]);
  sent();
  subscriptions.onProgress({ ...name, committed: 2n }); // overtaken
  assert.deepEqual(committed(), [0, 3]);
});

test("a device gets progress when fewer of its batches count as dropped", (t) => {
  const { subscriptions } = startWatches(t);
  const epochs = new EpochRegistry();
  epochs.update(new Map([[0, 7n]]));
  const { sentProgress, sent } = startReport(subscriptions, epochs);
  for (const droppedCount of [2n, 2n, 1n, 2n]) {
    subscriptions.onProgress({ ...session, committed: 5n, droppedCount });
    sent();
  }
  assert.deepEqual(
    sentProgress.map(({ committedThrough, droppedCount }) => [committedThrough, droppedCount]),
    [
      [0n, 0n],
      [5n, 2n],
      [5n, 1n],
    ],
  );
});

test("a stream keeps the epoch from when it opened, or the first one after that", (t) => {
  const { subscriptions } = startWatches(t);
  const epochs = new EpochRegistry();
  const early = startReport(subscriptions, epochs);
  assert.deepEqual(early.sentProgress, []);
  epochs.update(new Map([[0, 7n]]));
  subscriptions.epochsChanged();
  assert.deepEqual(early.sentProgress, [{ committedThrough: 0n, droppedCount: 0n, epoch: 7n }]);
  epochs.forget();
  const away = startReport(subscriptions, epochs);
  epochs.update(new Map([[0, 9n]]));
  subscriptions.epochsChanged();
  early.sent();
  subscriptions.onProgress({ ...name, committed: 1n });
  assert.deepEqual(early.sentProgress.at(-1), { committedThrough: 1n, droppedCount: 0n, epoch: 7n });
  assert.equal(away.sentProgress[0]?.epoch, 9n);
});

test("streams of one session share one request, and its progress is kept until the last of them closes", (t) => {
  const { asked, subscriptions } = startWatches(t);
  const streams = [subscriptions.subscribe(session, () => {}), subscriptions.subscribe(session, () => {})];
  assert.deepEqual(asked, [{ ...session, withRanges: false }]);
  subscriptions.onProgress({ ...name, committed: 5n });
  assert.deepEqual(
    streams.map(({ committed }) => committed?.committed),
    [5n, 5n],
  );
  for (const stream of streams) {
    assert.equal(subscriptions.size, 1);
    stream.close();
    stream.close();
  }
  assert.equal(subscriptions.size, 0);
});

test("a lost message about batches of another server is made up for by a request", async (t) => {
  const { asked, subscriptions } = startWatches(t, 500);
  const stream = subscriptions.subscribe(session, () => {});
  subscriptions.onProgress({ ...name, committed: 1n });
  await waitFor("a question although nothing is expected here", () => asked.length === 2);
  subscriptions.onProgress({ ...name, committed: 2n });
  assert.deepEqual(stream.committed, { committed: 2n, droppedCount: 0n });
});

test("without an answer requests become less frequent, down to one every 20 s", (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  let now = 0;
  t.mock.method(performance, "now", () => now);
  const { asked, subscriptions } = startWatches(t);
  subscriptions.subscribe(session, () => {});
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

test("repeats requests until there is an answer, and rarely once all is committed", async (t) => {
  const { asked, subscriptions } = startWatches(t);
  const stream = subscriptions.subscribe(session, () => {});
  const settled = { deviceId: "d", sessionId: "settled" };
  subscriptions.subscribe(settled, () => {}).expect(1n);
  subscriptions.onProgress({ ...settled, committed: 1n, droppedCount: 0n });
  const sessions = () => asked.map(({ sessionId }) => sessionId);
  await waitFor("a second question", () => asked.length === 3);
  subscriptions.onProgress({ ...name, committed: 0n });
  stream.expect(1n);
  await waitFor("a question about what was acknowledged", () => asked.length === 4);
  assert.deepEqual(sessions(), ["s", "settled", "s", "s"]);
  subscriptions.requestAll();
  await waitFor("a request about both", () => sessions().lastIndexOf("settled") > 3);
});
