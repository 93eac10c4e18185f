import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { test } from "node:test";
import { startRedis } from "#test/support/redis.ts";
import { noBrowser, startBrowser } from "./testing/browser.ts";
import { sampleBatches, sampleDrops, sampleHour, startFleet } from "./testing/fleet.ts";

test("axe finds no violation on any page, light and wide, dark and narrow", { skip: noBrowser }, async () => {
  await using redis = await startRedis();
  await using fleet = await startFleet(sampleBatches(), { redisUrl: redis.url, drops: sampleDrops });
  await using browser = await startBrowser();
  const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  for (const [colorScheme, width] of [
    ["light", 1280],
    ["dark", 390],
  ] as const) {
    const { page, problems } = await browser.open(fleet.url, {
      colorScheme,
      viewport: { width, height: 800 },
    });
    for (const [address, awaited] of [
      [`/?${sampleHour}&device=pump-7&-logger=x&q=winding`, "winding"],
      ["/?range=5m", "Nothing matches"],
      ["/live?device=pump-7", "Following"],
      ["/devices", "sensor-1"],
      [`/devices/sensor-1?${sampleHour}`, "boot"],
      [`/health?${sampleHour}`, "Busiest devices"],
      ["/docs", "GET /v1/export"],
    ] as const) {
      await page.goto(address);
      await page.getByText(awaited).first().waitFor();
      if (address.includes("pump-7")) {
        // The keys need a row to go to.
        await page.locator(".rows .cell-message").first().waitFor();
        await page.keyboard.press("j");
        await page.keyboard.press("Enter");
        await page.locator(".detail").waitFor();
      }
      await page.evaluate(axe);
      const violations = await page.evaluate(async () => {
        const { axe } = window as unknown as { axe: { run: () => Promise<AxeResults> } };
        const { violations } = await axe.run();
        return violations.map(
          ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 160)).join(" | ")}`,
        );
      });
      assert.deepEqual(violations, [], `${address}, ${colorScheme}, ${width} px`);
    }
    await page.context().close();
    assert.deepEqual(problems, []);
  }
});

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}
