import assert from "node:assert/strict";
import { test } from "node:test";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { sampleBatches, sampleDrops, sampleHour, startFleet } from "./testing/fleet.ts";

test("a device's page distinguishes missing batches from declared drops and shows the reason of each drop", {
  skip: noBrowser,
}, async () => {
  await using fleet = await startFleet(sampleBatches(), { drops: sampleDrops });
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto(`/devices/sensor-1?${sampleHour}`);
  const drawing = page.getByRole("img", {
    name: "missing 3 of 20: 5, 18–19; dropped 5: 14–17 (memory <b>full</b>), 20",
  });
  await drawing.waitFor();
  const titles = async (name: string) => await drawing.locator(`.${name} title`).allTextContents();
  assert.deepEqual(await titles("received"), ["1–4 received", "6–13 received"]);
  assert.deepEqual(await titles("missing"), ["5 missing", "18–19 missing"]);
  assert.deepEqual(await titles("dropped"), ["14–17 dropped: memory <b>full</b>", "20 dropped"]);
  const fill = async (name: string) =>
    await drawing
      .locator(`.${name}`)
      .first()
      .evaluate((bar) => [getComputedStyle(bar).fill, bar.getAttribute("height")]);
  assert.notDeepEqual(await fill("dropped"), await fill("missing"));
  await page.getByText("declared as dropped").waitFor();
  await page.getByText("and 5 dropped by the device").waitFor();
  assert.deepEqual(problems, []);
});

test("the table of devices shows the rate of each", { skip: noBrowser }, async () => {
  await using fleet = await startFleet(sampleBatches());
  // Any rate of this hour is one of two hours: 7,200,000 records are 1,000 to 2,000 a second.
  await fleet.pool.query(
    `insert into device_statistics (hour, device_key, batch_count, record_count, error_count, dead_letter_count, bytes)
      select date_trunc('hour', now(), 'UTC'), key, 1, 7200000, 0, 0, 72000000 from devices where device_id = 'pump-7'`,
  );
  await fleet.pool.query("update devices set first_seen = now() - interval '9 days'");
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto("/devices");
  const readRate = async (device: string) =>
    await page.getByRole("row", { name: device }).getByRole("cell").nth(5).textContent();
  await page.getByRole("row", { name: "pump-7" }).waitFor();
  assert.equal(await page.getByRole("columnheader").nth(5).textContent(), "Rate");
  assert.match((await readRate("pump-7")) ?? "", /^[12],\d{3} \/s$/);
  assert.equal(await readRate("sensor-1"), "–");
  assert.deepEqual(problems, []);
});

test("a device's page lists all sessions, page by page, and links to records of the future", {
  skip: noBrowser,
}, async () => {
  const now = BigInt(Date.now()) * 1000n;
  const year = 365n * 86_400_000_000n;
  await using fleet = await startFleet([
    ...Array.from({ length: 60 }, (_, index) => ({
      deviceId: "restless",
      sessionId: `boot-${index}`,
      receivedMicros: now - 3_600_000_000n + BigInt(index) * 1_000_000n,
      records: [{ timeMicros: now - 3_600_000_000n, message: "up" }],
    })),
    {
      deviceId: "restless",
      sessionId: "ahead",
      receivedMicros: now,
      records: [{ timeMicros: now + year, message: "it is next year" }],
    },
  ]);
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto("/devices/restless");
  const sessions = page.getByRole("region", { name: "Sessions" });
  await sessions.getByRole("row", { name: "ahead" }).waitFor();
  assert.equal(await sessions.getByRole("row").count(), 1 + 50);
  await sessions.getByRole("button", { name: "More sessions" }).click();
  await sessions.getByRole("row", { name: "boot-0 " }).waitFor();
  assert.equal(await sessions.getByRole("row").count(), 1 + 61);
  await page.getByText("365 d ahead").waitFor();
  assert.equal(await page.getByText("it is next year").count(), 0);
  await page.getByRole("link", { name: "records from the future" }).click();
  await page.getByText("it is next year").waitFor();
  await page.getByRole("img", { name: "1 records by time and severity" }).waitFor();
  assert.deepEqual(problems, []);
});

test("the fleet shows the firmware of each device, and a device's page what it says about itself and what changed", {
  skip: noBrowser,
}, async () => {
  await using fleet = await startFleet(sampleBatches());
  for (const [second, info] of [
    [1, { firmware: "2.0.0", hardware: "rev B" }],
    [2, { firmware: "2.1.0", hardware: "rev B", site: "plant <b>7</b>", attributes: { rack: 3 } }],
  ] as const) {
    await fleet.pool.query(
      `select note_device_info(key, timestamptz '2026-01-10 11:00Z' + $1 * interval '1 second', $1::int8, $2)
       from devices where device_id = 'pump-7'`,
      [second, JSON.stringify(info)],
    );
  }
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto("/devices");
  await page.getByRole("row", { name: "pump-7" }).getByText("2.1.0").waitFor();
  await page.goto(`/devices/pump-7?${sampleHour}`);
  const changes = page.getByRole("region", { name: "Changes of the device" });
  await changes.getByText("plant <b>7</b>").waitFor();
  assert.deepEqual(await changes.locator("strong").allTextContents(), ["2.1.0", "plant <b>7</b>", "rack 3"]);
  assert.equal(await changes.getByRole("row").count(), 3);
  assert.deepEqual(problems, []);
});
