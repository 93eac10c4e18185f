import assert from "node:assert/strict";
import { test } from "node:test";
import { createRegistry } from "#lib/metrics.ts";
import { ensureGroups } from "#stream/groups.ts";
import { streamKey } from "#stream/keys.ts";
import { measureLag } from "./housekeeping.ts";
import { createMetrics } from "./metrics.ts";
import { createWorld } from "./test-support.ts";

test("the age of the oldest entry is measured in seconds", async () => {
  await using world = await createWorld();
  const metrics = createMetrics(createRegistry("consumer"));
  await ensureGroups(world.redis, [0]);
  await world.redis.xadd(streamKey(0), `${Date.now() - 3_600_000}-0`, "a", "b");
  await measureLag({ redis: world.redis, shards: [0], metrics });
  const [oldest] = (await metrics.oldest.get()).values;
  assert(oldest && oldest.value >= 3_600 && oldest.value < 4_600, `${oldest?.value} s`);
  assert.equal((await metrics.backlog.get()).values[0]?.value, 1);
});
