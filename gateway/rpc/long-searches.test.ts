import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startWithTwoHosts } from "../testing/two-hosts.ts";

let gateway: Awaited<ReturnType<typeof startWithTwoHosts>>;

/** A search has no patience: each page reads one step. The needle is in the oldest of 400 small batches. */
before(async () => {
  gateway = await startWithTwoHosts({ patienceMs: 0 });
  const micros = 1_772_323_200_000_000n;
  await gateway.seed(
    Array.from({ length: 400 }, (_, n) => ({
      deviceId: `device-${n % 3}`,
      receivedMicros: micros + BigInt(n) * 1_000_000n,
      records: [0, 1, 2].map((index) => ({
        timeMicros: micros + BigInt(n) * 1_000_000n + BigInt(index),
        message: n === 1 && index === 1 ? "a needle" : `hay ${n}`,
      })),
    })),
  );
});
after(() => gateway[Symbol.asyncDispose]());

for (const order of ["oldest_first=false", "oldest_first=true"]) {
  test(`a search that takes too long comes in pages, possibly empty, to its end: ${order}`, async () => {
    for (const text of ["needle", "absent"]) {
      const found: string[] = [];
      let [pages, token] = [0, ""];
      do {
        const { body } = await gateway.get(`/v1/logs?text=${text}&${order}&page_token=${token}`);
        found.push(...body.logs.map(({ message }) => message));
        token = body.nextPageToken;
        pages += 1;
      } while (token !== "" && pages < 1000);
      assert.deepEqual(found, text === "needle" ? ["a needle"] : []);
      assert.ok(pages > 1 && pages < 100, `${pages} pages`);
    }
  });
}
