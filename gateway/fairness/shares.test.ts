import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { createRefusedCallsCounter } from "./refused-calls.ts";
import { Shares } from "./shares.ts";

function createShares(max: number) {
  const registry = createRegistry("gateway");
  const refused = createRefusedCallsCounter(registry);
  return { shares: new Shares({ name: "exports", setting: "EXPORTS_MAX", max, refused }), refused };
}

/** Acquires until it is refused. */
function takeAll(shares: Shares, client: string): (() => void)[] {
  const held: (() => void)[] = [];
  for (;;) {
    try {
      held.push(shares.acquire(client));
    } catch {
      return held;
    }
  }
}

test("a client alone gets half, and each further client gets some of the rest", () => {
  const { shares } = createShares(500);
  const counts = ["a", "b", "c", "d", "e"].map((client) => takeAll(shares, client).length);
  assert.deepEqual(counts, [250, 125, 63, 31, 16]);
  for (const client of ["f", "g", "h"]) shares.acquire(client);
});

test("a released share, even if released twice, is available once", () => {
  const { shares } = createShares(4);
  const held = takeAll(shares, "a");
  assert.equal(held.length, 2);
  held[0]?.();
  held[0]?.();
  assert.equal(shares.used, 1);
  assert.equal(takeAll(shares, "a").length, 1);
  for (const giveBack of [...held, ...takeAll(shares, "b")]) giveBack();
});

test("a refused client learns the limit, how many it holds, and when to retry; the refusal is counted", async () => {
  const { shares, refused } = createShares(1);
  shares.acquire("a");
  assert.throws(() => shares.acquire("a"), {
    rawMessage: "1 exports are open, 1 by this client: the limit of EXPORTS_MAX is 1: retry in 1 s",
  });
  assert.equal((await refused.get()).values[0]?.value, 1);
});

test("with a limit of 0 every call is refused", () => {
  const { shares } = createShares(0);
  assert.throws(() => shares.acquire("a"), /EXPORTS_MAX is 0/);
});
