import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { noBrowser, startBrowser, type TestPage } from "./testing/browser.ts";
import { sampleBatches, sampleHour, sampleTrace, startFleet } from "./testing/fleet.ts";

const rows = (page: TestPage["page"]) => page.locator(".rows .row");

const firstRow = async (page: TestPage["page"], text: string) => {
  await waitFor(`the first row to have ${text}`, async () =>
    (await rows(page).first().textContent())?.includes(text),
  );
};

describe("Explore", { skip: noBrowser }, () => {
  let fleet: Awaited<ReturnType<typeof startFleet>>;
  let browser: Awaited<ReturnType<typeof startBrowser>>;
  before(async () => {
    [fleet, browser] = await Promise.all([startFleet(sampleBatches()), startBrowser()]);
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
  });

  /** Opens the address, runs `walk` and asserts that no errors were reported. */
  async function visit(address: string, walk: (page: TestPage["page"]) => Promise<void>, options = {}) {
    const { page, problems } = await browser.open(fleet.url, {
      permissions: ["clipboard-read", "clipboard-write"],
      ...options,
    });
    await page.goto(address);
    await walk(page);
    await page.context().close();
    assert.deepEqual(problems, []);
  }

  test("lists the newest records first, and all of them by scrolling, while few rows are rendered", () =>
    visit(`/?${sampleHour}`, async (page) => {
      await firstRow(page, "winding too hot");
      const list = page.locator(".rows");
      const oldest = page.locator(".row", { hasText: "reading 1-53" });
      await waitFor("the oldest record", async () => {
        // Repeatedly: the page that loads after a scroll moves the end further down.
        await list.evaluate((element) => element.scrollTo(0, element.scrollHeight));
        return oldest.isVisible();
      });
      await page.getByText("End of results.").waitFor();
      await page.getByText("1,297 records", { exact: true }).waitFor();
      assert.ok((await rows(page).count()) < 120);
    }));

  test("finds one record by words, severity, device, logger and attribute", () =>
    visit(`/?${sampleHour}`, async (page) => {
      await firstRow(page, "winding too hot");
      await page.keyboard.press("/");
      await page.keyboard.type('FAILED "write of" -2600');
      await page.keyboard.press("Enter");
      await firstRow(page, "write of block");
      assert.equal(await page.locator("mark").first().textContent(), "write of");
      await page.getByLabel("Minimum severity").selectOption("error");
      await page.getByRole("combobox", { name: "Device" }).fill("SENSOR-1");
      await page.getByRole("option", { name: /^sensor-1/ }).click();
      await page.getByRole("combobox", { name: "Logger" }).fill("storage");
      await page.keyboard.press("Enter");
      await page.getByRole("combobox", { name: "Attribute" }).fill("errno=EI");
      await page.getByRole("option", { name: /^errno=EIO/ }).click();
      await page.getByText(/^1[12] records$/).waitFor();
      const found = new URL(page.url()).searchParams;
      assert.deepEqual(
        ["severity", "device", "logger", "attribute"].map((name) => found.get(name)),
        ["error", "sensor-1", "storage", "errno=EIO"],
      );
    }));

  test("keeps its state in the address: a reload shows the same, a step back the state before", () =>
    visit(`/?${sampleHour}&device=pump-7&tz=utc&wrap=1`, async (page) => {
      await firstRow(page, "11:59:59.999");
      await page.reload();
      await firstRow(page, "11:59:59.999");
      await page.getByRole("button", { name: "Remove the condition device" }).click();
      await waitFor("more rows", async () => (await rows(page).count()) > 20);
      await page.goBack();
      await page.getByText("1 record", { exact: true }).waitFor();
      await page.getByRole("button", { name: "Times: UTC" }).click();
      await firstRow(page, "12:59:59.999"); // Berlin in winter
    }));

  test("opens a record with all its fields, filters for and out, adds columns, copies", () =>
    visit(`/?${sampleHour}`, async (page) => {
      await firstRow(page, "winding too hot");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      const detail = page.locator(".detail");
      await detail.getByText("2.4.1").waitFor();
      await detail.getByText("1 ms later").waitFor();
      await page.getByRole("button", { name: "Column firmware" }).click();
      await page.getByRole("columnheader", { name: "firmware" }).waitFor();
      await page.getByRole("button", { name: "Copy as JSON" }).click();
      await page.getByText("Record copied").waitFor();
      const copied = JSON.parse(await page.evaluate(() => navigator.clipboard.readText())) as object;
      assert.equal((copied as { deviceId: string }).deviceId, "pump-7");
      await page.getByRole("button", { name: "Copy link" }).click();
      await page.getByText("Link copied").waitFor();
      const link = await page.evaluate(() => navigator.clipboard.readText());
      await page.getByRole("button", { name: "Filter out this device" }).click();
      await firstRow(page, "write of block 2600");
      await page.getByText("not device: pump-7").waitFor();
      await page.goto(link);
      await detail.getByText("stator").waitFor();
      await page.keyboard.press("Escape");
      await detail.waitFor({ state: "detached" });
    }));

  test("shows the trace of a record, and links to all records of the trace", () =>
    visit(`/?${sampleHour}&logger=motor`, async (page) => {
      await firstRow(page, "winding too hot");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      const detail = page.locator(".detail");
      await detail.getByText(sampleTrace.spanId).waitFor();
      await detail.getByText(sampleTrace.eventName).waitFor();
      await detail.getByRole("link", { name: sampleTrace.traceId }).click();
      await page.getByText("1 record", { exact: true }).waitFor();
      await page.getByText(`trace: ${sampleTrace.traceId}`).waitFor();
      const found = new URL(page.url()).searchParams;
      assert.deepEqual([found.get("trace"), found.get("logger")], [sampleTrace.traceId, null]);
    }));

  test("zooms into the chart by dragging, and out by the back button", () =>
    visit(`/?${sampleHour}&logger=storage`, async (page) => {
      await page.getByText("records, 1 min per bar").waitFor();
      const chart = await page.locator(".u-over").boundingBox();
      assert.ok(chart);
      await page.mouse.move(chart.x + chart.width / 2, chart.y + 30);
      await page.mouse.down();
      await page.mouse.move(chart.x + chart.width * 0.75, chart.y + 40, { steps: 5 });
      await page.mouse.up();
      await waitFor("a shorter range", () => {
        const found = new URL(page.url()).searchParams;
        const seconds = (Date.parse(found.get("to") ?? "") - Date.parse(found.get("from") ?? "")) / 1000;
        return Math.abs(seconds - 900) < 30;
      });
      await page.goBack();
      assert.ok(page.url().includes(sampleHour));
    }));

  test("helps when nothing matches and when nothing was ever sent", async () => {
    await visit("/?range=5m&device=pump-7", async (page) => {
      await page.getByRole("button", { name: "Show that hour" }).click();
      await firstRow(page, "winding too hot");
    });
    await using empty = await startFleet([]);
    const { page, problems } = await browser.open(empty.url);
    await page.goto("/");
    await page.getByText("No logs yet: send the first").waitFor();
    assert.ok(
      (await page.locator(".command pre").first().textContent())?.includes(`${empty.url}/fleetlog.v1`),
    );
    await page.context().close();
    assert.deepEqual(problems, []);
  });

  test("is readable on a narrow screen, in dark, without horizontal scrolling", () =>
    visit(
      `/?${sampleHour}`,
      async (page) => {
        await firstRow(page, "winding too hot");
        await rows(page).first().click();
        await page.locator(".detail").getByText("stator").waitFor();
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 390, `${width} px wide`);
      },
      { viewport: { width: 390, height: 780 }, colorScheme: "dark" },
    ));
});
