import assert from "node:assert/strict";
import { test } from "node:test";
import { createDatabase } from "#postgres/pool.ts";
import { decodeProgress, encodeRequests, progressChannel } from "#stream/session-progress.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { createFixture, logger, openTestPool } from "../testing/fixture.ts";
import { ProgressPublisher } from "./publisher.ts";

/** A message of a server with a request for each of these devices. */
const requests = (from: number, count: number): string => {
  const [own] = encodeRequests(
    Array.from({ length: count }, (_, n) => ({
      deviceId: `d${from + n}`,
      sessionId: "s",
      withRanges: false,
    })),
    1,
  );
  return own![1];
};

test("answers requests, at most 10,000 at a time, and continues after PostgreSQL failed", async (t) => {
  await using fixture = await createFixture();
  const subscriber = fixture.redis.duplicate();
  fixture.stack.defer(() => subscriber.disconnect());
  const answered: string[] = [];
  subscriber.on("smessage", (_channel: string, message: string) =>
    answered.push(...decodeProgress(message).map(({ deviceId }) => deviceId)),
  );
  await subscriber.connect();
  await subscriber.ssubscribe(progressChannel(0));
  const publisher = new ProgressPublisher({
    db: createDatabase(openTestPool(fixture)),
    redis: fixture.redis,
    shards: 1,
    logger,
  });
  await fixture.rows("alter table sessions rename to sessions_away");
  const warn = t.mock.method(logger, "warn");
  publisher.onMessage(requests(0, 1));
  await waitFor("the failure", () => warn.mock.callCount() > 0);
  await fixture.rows("alter table sessions_away rename to sessions");
  /** Requests until there is an answer, as servers do. */
  const askUntilAnswered = (n: number) =>
    waitFor(`an answer about d${n}`, () => {
      publisher.onMessage(requests(n, 1));
      return answered.includes(`d${n}`);
    });
  await askUntilAnswered(1);
  publisher.onMessage(requests(1_000, 9_000));
  publisher.onMessage(requests(10_000, 9_000));
  await askUntilAnswered(2);
  const many = new Set(answered.filter((name) => name.length > 2)).size;
  // Those that waited, except some about d1, and those of one more query.
  assert(many >= 9_900 && many <= 10_200, `${many} of 18,000 requests at once were answered`);
});
