import assert from "node:assert/strict";
import { test } from "node:test";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { noon, sampleHour, startFleet } from "./testing/fleet.ts";

test("an open record shows numbers as numbers, its batch's attributes, how its time is known, and a repaired text", {
  skip: noBrowser,
}, async () => {
  await using fleet = await startFleet([
    {
      deviceId: "pump-7",
      receivedMicros: noon,
      attributes: { firmware: "2.1.0", "boot.count": 17 },
      records: [
        { timeMicros: noon - 1000n, severity: 13, message: "cut \ufffd", attributes: { temp: 21.5 } },
      ],
    },
  ]);
  await fleet.pool.query(
    `update record_batches set
      severity_texts = array['notice'], uptimes = array[90500000000], observed_times = times, flags = array[5]`,
  );
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.goto(`/?${sampleHour}`);
  await page.locator(".rows .row", { hasText: "cut" }).click();
  const field = (name: string) =>
    page
      .locator(".fields tr", { has: page.getByRole("rowheader", { name, exact: true }) })
      .locator(".field-value");
  await field("time").getByText("estimated from its uptime").waitFor();
  assert.match((await field("severity text").textContent()) ?? "", /notice/);
  assert.match((await field("uptime").textContent()) ?? "", /^90\.5 s/);
  await field("observed").getByText("by a collector").waitFor();
  await page.getByText("A text arrived cut inside a character").waitFor();
  assert.equal(await field("boot.count").textContent(), "17");
  assert.deepEqual(await page.locator(".typed-value").allTextContents(), ["17", "21.5"]);
  await page.getByRole("button", { name: "Filter for this temp" }).click();
  await page.getByText("temp=21.5").first().waitFor();
  await page.locator(".rows .row", { hasText: "cut" }).waitFor();
  assert.deepEqual(problems, []);
});
