import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { WorkerPool } from "./worker-pool.ts";

function startPool(workers: readonly string[]) {
  const begun: string[] = [];
  const failures: unknown[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const work = (worker: string, job: string) => {
    begun.push(`${worker}: ${job}`);
    const end = Promise.withResolvers<void>();
    ends.push(end);
    return end.promise;
  };
  return { begun, failures, ends, pool: new WorkerPool(workers, work, (error) => failures.push(error)) };
}

test("has capacity while no job waits for a worker, and again once the waiting one started", async () => {
  const { pool, begun, ends } = startPool(["a", "b"]);
  for (const job of ["1", "2"]) {
    await pool.waitForCapacity();
    pool.submit(job);
  }
  await pool.waitForCapacity();
  pool.submit("3");
  let hasCapacity = false;
  const capacity = pool.waitForCapacity().then(() => (hasCapacity = true));
  await turn();
  assert.equal(hasCapacity, false);
  assert.deepEqual(begun, ["b: 1", "a: 2"]);
  ends[0]?.resolve();
  await capacity;
  assert.deepEqual(begun, ["b: 1", "a: 2", "b: 3"]);
});

test("a worker whose job failed takes the next job, and all are idle after the last one", async () => {
  const { pool, begun, ends, failures } = startPool(["a"]);
  for (const job of ["1", "2"]) pool.submit(job);
  let isIdle = false;
  const idle = pool.waitUntilIdle().then(() => (isIdle = true));
  const error = new Error("failed");
  ends[0]?.reject(error);
  await pool.waitForCapacity();
  assert.deepEqual([begun, failures, isIdle], [["a: 1", "a: 2"], [error], false]);
  ends[1]?.resolve();
  await idle;
});
