import assert from "node:assert/strict";
import { test } from "node:test";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { sampleBatches, sampleHour, startFleet } from "./testing/fleet.ts";

test("the table of dead letters shows which were replayed, when, and as which batch", {
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

test("the table of dead letters shows how many records each holds, and the text of a record that came as JSON", {
  skip: noBrowser,
}, async () => {
  await using fleet = await startFleet(sampleBatches());
  const json = '{"message":"<b>hot</b>","severity":"LOUD"}';
  await fleet.pool.query(
    `insert into dead_letters (at, device_id, idx, reason, raw, raw_bytes, record_count, is_json) values
      ('2026-01-10T11:30:00Z', 'pump-7', null, 'many more', '\\x0102', 2, 1250, false),
      ('2026-01-10T11:31:00Z', 'pump-7', 3, 'not readable', convert_to($1, 'UTF8'), length($1), 1, true),
      ('2026-01-10T11:32:00Z', 'pump-7', 4, 'too long', convert_to($1, 'UTF8'), 70000, 1, true)`,
    [json],
  );
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto(`/health?${sampleHour}&tz=utc`);
  const letters = page.getByRole("region", { name: "Dead letters" });
  await letters.waitFor();
  assert.equal(await letters.getByRole("columnheader").nth(5).textContent(), "Records");
  const cell = (reason: string, place: number) =>
    letters.getByRole("row", { name: reason }).getByRole("cell").nth(place);
  assert.equal(await cell("many more", 3).textContent(), "many more");
  assert.equal(await cell("many more", 5).textContent(), "1,250");
  assert.equal(await cell("not readable", 3).locator("code").textContent(), json);
  assert.equal(await cell("not readable", 5).textContent(), "1");
  assert.equal(await cell("too long", 3).locator("code").textContent(), `${json} …`);
  assert.deepEqual(problems, []);
});
