import assert from "node:assert/strict";
import { test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { minute, noon, startFleet } from "./testing/fleet.ts";
import { xssPayloads } from "./testing/xss-payloads.ts";

test("a hundred payloads in every text of a record are shown as text, and none runs", {
  skip: noBrowser,
}, async () => {
  assert.ok(xssPayloads.length >= 100);
  // PostgreSQL holds no NUL; the server refuses such records.
  const payloads = xssPayloads.map((payload) => payload.replaceAll("\u0000", ""));
  await using fleet = await startFleet([
    {
      deviceId: "hostile",
      receivedMicros: noon,
      records: payloads.map((payload, place) => ({
        timeMicros: noon - BigInt(place) * minute,
        severity: 17,
        logger: payload.slice(0, 200),
        message: payload,
        attributes: { [payload.slice(0, 100)]: payload },
      })),
    },
  ]);
  await using browser = await startBrowser();
  const { page, problems } = await browser.open(fleet.url);
  await page.addInitScript(() => {
    Object.assign(window, { boom: () => Object.assign(window, { boomed: true }) });
  });
  await page.goto("/?range=all");
  const shown = page.locator(".rows .cell-message");
  await shown.first().waitFor();
  const seen = new Set<string>();
  await waitFor("all payloads to be seen", async () => {
    for (const text of await shown.allTextContents()) seen.add(text);
    await page.locator(".rows").evaluate((element) => element.scrollBy(0, 400));
    return seen.size >= new Set(payloads).size;
  });
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  // Opens each of them, one after the other.
  await page.evaluate(async (count) => {
    for (let place = 0; place < count; place += 1) {
      window.dispatchEvent(new KeyboardEvent("keydown", { key: "j" }));
      await new Promise((painted) => requestAnimationFrame(painted));
    }
  }, payloads.length);
  await page.locator(".detail").waitFor();
  for (const [address, awaited] of [
    ["/devices", "hostile"],
    ["/devices/hostile?range=all", "boom()"],
    ["/health?range=all", "boom()"],
  ] as const) {
    await page.goto(address);
    await page.getByText(awaited).first().waitFor();
  }
  assert.ok([...seen].some((text) => text.includes("<script>boom()</script>")));
  assert.equal(await page.evaluate(() => "boomed" in window), false);
  assert.equal(await page.locator("#page script, #page iframe, #page img, #page form[action]").count(), 0);
  assert.deepEqual(problems, []);
});
