import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { createRefusedCallsCounter } from "./refused-calls.ts";
import { BusyError, Semaphore, type SemaphoreOptions } from "./semaphore.ts";

const never = new AbortController().signal;

function createSemaphore(options: Pick<SemaphoreOptions, "concurrencyMax" | "waitingMax" | "waitMsMax">) {
  const registry = createRegistry("gateway");
  const refused = createRefusedCallsCounter(registry);
  const semaphore = new Semaphore({ name: "queries", refused, ...options });
  const entered: string[] = [];
  return {
    entered,
    refusals: async () => (await refused.get()).values[0]?.value,
    enter: async (name: string, signal = never) => {
      const leave = await semaphore.acquire({ client: name.slice(0, 1), signal });
      entered.push(name);
      return leave;
    },
  };
}

test("admits up to its limit, then the waiting calls in order, and refuses at once beyond the queue's limit", async () => {
  const { enter, entered, refusals } = createSemaphore({
    concurrencyMax: 2,
    waitingMax: 2,
    waitMsMax: 60_000,
  });
  const [leaveFirst] = [await enter("a1"), await enter("a2")];
  const [third, fourth] = [enter("a3"), enter("a4")];
  await assert.rejects(enter("a5"), BusyError);
  assert.equal(await refusals(), 1);
  assert.deepEqual(entered, ["a1", "a2"]);
  leaveFirst();
  leaveFirst(); // a second release has no effect
  const leaveThird = await third;
  assert.deepEqual(entered, ["a1", "a2", "a3"]);
  leaveThird();
  await fourth;
  assert.deepEqual(entered, ["a1", "a2", "a3", "a4"]);
});

test("serves clients in turn, and the calls of each in order", async () => {
  const { enter, entered } = createSemaphore({ concurrencyMax: 1, waitingMax: 99, waitMsMax: 60_000 });
  const leave = await enter("a0");
  const waiting = ["a1", "a2", "a3", "a4", "b1", "b2", "c1"].map(async (name) => (await enter(name))());
  leave();
  await Promise.all(waiting);
  assert.deepEqual(entered, ["a0", "a1", "b1", "c1", "a2", "b2", "a3", "a4"]);
});

test("a full queue evicts the last call of the client with the most for a client with fewer", async () => {
  const { enter, entered, refusals } = createSemaphore({
    concurrencyMax: 1,
    waitingMax: 4,
    waitMsMax: 60_000,
  });
  const leave = await enter("a0");
  const passing = async (name: string) => (await enter(name))();
  const own = ["a1", "a2", "a3", "a4"].map(passing);
  const others = ["b1", "b2"].map(passing);
  await assert.rejects(own[3] as Promise<void>, /this client has more queries waiting than others/);
  await assert.rejects(own[2] as Promise<void>, BusyError);
  // Two and two: neither has fewer than the other.
  await assert.rejects(enter("b3"), /4 queries are already waiting/);
  const third = passing("c1");
  await assert.rejects(own[1] as Promise<void>, BusyError);
  assert.equal(await refusals(), 4);
  leave();
  await Promise.all([own[0], ...others, third]);
  assert.deepEqual(entered, ["a0", "a1", "b1", "c1", "b2"]);
});

test("a call that times out or is aborted leaves the queue, and the next one gets its permit", async () => {
  const hasty = createSemaphore({ concurrencyMax: 1, waitingMax: 9, waitMsMax: 20 });
  const leave = await hasty.enter("a");
  await assert.rejects(hasty.enter("b"), /timed out after waiting 20 ms for other queries/);
  const patient = createSemaphore({ concurrencyMax: 1, waitingMax: 9, waitMsMax: 60_000 });
  const leavePatient = await patient.enter("a");
  const going = new AbortController();
  const gone = patient.enter("b", going.signal);
  const next = patient.enter("c");
  going.abort(new Error("gone"));
  await assert.rejects(gone, /gone/);
  leavePatient();
  (await next)();
  await assert.rejects(patient.enter("b", going.signal), /gone/);
  leave();
  (await hasty.enter("a"))();
});

test("a call that was admitted is not counted as refused when its waiting time would be over", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const { enter, refusals } = createSemaphore({ concurrencyMax: 1, waitingMax: 2, waitMsMax: 1_000 });
  const leave = await enter("a1");
  const [turn, tooLong] = [enter("a2"), assert.rejects(enter("a3"), BusyError)];
  leave();
  await turn;
  t.mock.timers.tick(2_000);
  await tooLong;
  assert.equal(await refusals(), 1);
});
