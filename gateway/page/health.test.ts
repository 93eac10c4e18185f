import assert from "node:assert/strict";
import { test } from "node:test";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { sampleBatches, sampleHour, startFleet } from "./testing/fleet.ts";

test("the table of dead letters tells which were stored after all, when, and as which batch", {
  skip: noBrowser,
}, async () => {
  await using fleet = await startFleet(sampleBatches());
  await fleet.pool.query(`
    insert into dead_letters (at, device_id, reason, raw, raw_bytes, replayed_at, replayed_batch) values
      ('2026-01-10T11:30:00Z', 'pump-7', 'message: NUL', '', 12, '2026-01-11T08:15:30Z', 4711),
      ('2026-01-10T11:31:00Z', 'sensor-1', 'no batch', '', 7, null, null)`);
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto(`/health?${sampleHour}&tz=utc`);
  const letters = page.getByRole("region", { name: "Dead letters" });
  const replayed = (reason: string) => letters.getByRole("row", { name: reason }).getByRole("cell").nth(4);
  await letters.waitFor();
  assert.equal(await letters.getByRole("columnheader").nth(4).textContent(), "Replayed");
  assert.match((await replayed("message: NUL").textContent()) ?? "", /11 08:15:30$/);
  assert.equal(await replayed("message: NUL").locator("span").getAttribute("title"), "stored as batch 4711");
  assert.equal(await replayed("no batch").textContent(), "no");
  assert.deepEqual(problems, []);
});
