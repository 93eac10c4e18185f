import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Redis } from "ioredis";
import { append, shards } from "#gateway/tail/testing/tailed-gateway.ts";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import type { StreamAppender } from "#stream/append.ts";
import { commandConnection } from "#stream/connection.ts";
import { createAppender } from "#stream/testing/redis-clients.ts";
import { Hop } from "#test/faults/hop.ts";
import { startRedis, type TestRedis } from "#test/support/redis.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { noBrowser, startBrowser, type TestPage } from "./testing/browser.ts";
import { minute, noon, startFleet } from "./testing/fleet.ts";

type Page = TestPage["page"];

const stored = {
  deviceId: "pump-7",
  receivedMicros: noon,
  records: [{ timeMicros: noon - minute, severity: 9, logger: "motor", message: "stored before" }],
};

describe("Live", { skip: noBrowser }, () => {
  let redis: TestRedis;
  let client: Redis;
  let appender: StreamAppender;
  let fleet: Awaited<ReturnType<typeof startFleet>>;
  let browser: Awaited<ReturnType<typeof startBrowser>>;
  before(async () => {
    redis = await startRedis({ appendonly: "no" });
    client = new Redis(redis.url, commandConnection);
    client.on("error", () => {});
    appender = createAppender(client, shards);
    [fleet, browser] = await Promise.all([startFleet([stored], { redisUrl: redis.url }), startBrowser()]);
  });
  after(async () => {
    await browser[Symbol.asyncDispose]();
    await fleet[Symbol.asyncDispose]();
    client.disconnect();
    await redis[Symbol.asyncDispose]();
  });

  let sequence = 0;
  /** One batch of these messages. */
  const send = (messages: readonly string[], device = "sensor-1", severity: Severity = Severity.INFO) =>
    append(
      appender,
      device,
      ++sequence,
      messages.map((message) => ({ severity, logger: "net.mqtt", message })),
    );

  async function visit(address: string, walk: (page: Page) => Promise<void>, options = {}) {
    const { page, problems } = await browser.open(fleet.url, options);
    await page.goto(address);
    await page.getByText("Following").waitFor();
    await walk(page);
    await page.context().close();
    assert.deepEqual(problems, []);
  }

  test("shows the last records, then new ones as they arrive, and keeps the newest in view", () =>
    visit("/live", async (page) => {
      await seen(page, "stored before");
      await send(named("first", 60));
      await seen(page, "first 60");
      assert.ok((await scrollPlace(page)).fromEnd < 4);
      await send(["second"]);
      await seen(page, "second");
      await status(page, /Following, \d+ records here/);
    }));

  test("filters like Explore, from the address or the bar, and updates the address", () =>
    visit("/live?device=pump-7", async (page) => {
      await seen(page, "stored before");
      await send(["not asked for"]);
      await send(["hot"], "pump-7", 17);
      await seen(page, "hot");
      assert.equal(await page.locator(".rows .row").count(), 2);
      await page.getByLabel("Minimum severity").selectOption("error");
      await waitFor("the other record to go", async () => (await page.locator(".rows .row").count()) === 1);
      assert.equal(new URL(page.url()).search, "?device=pump-7&severity=error");
      await page.getByText("Following").waitFor();
      await send(["cool"], "pump-7", 9);
      await send(["burning"], "pump-7", 21);
      await seen(page, "burning");
      assert.equal(await page.getByText("cool").count(), 0);
    }));

  test("pauses with Space, counts the waiting records, and resumes with all of them", () =>
    visit("/live?device=sensor-2", async (page) => {
      await send(["before the pause"], "sensor-2");
      await seen(page, "before the pause");
      await page.keyboard.press(" ");
      await page.getByRole("status").filter({ hasText: "Paused" }).waitFor();
      await send(named("waiting", 3), "sensor-2");
      await status(page, "Paused: 3 new records");
      await send(["one more"], "sensor-2");
      await status(page, "Paused: 4 new records");
      assert.equal(await page.getByText("waiting 1").count(), 0);
      await page.keyboard.press(" ");
      await seen(page, "one more");
      const texts = await page.locator(".rows .row .cell-message").allTextContents();
      assert.deepEqual(texts, ["before the pause", "waiting 1", "waiting 2", "waiting 3", "one more"]);
    }));

  test("stops following when the user scrolls up, and returns to the newest", () =>
    visit("/live?device=sensor-3", async (page) => {
      await send(named("old", 100), "sensor-3");
      await seen(page, "old 100");
      await page.locator(".rows").evaluate((element) => element.scrollTo(0, 300));
      await page.getByRole("status").filter({ hasText: "Paused" }).waitFor();
      await send(named("new", 50), "sensor-3");
      await status(page, "Paused: 50 new records");
      assert.equal((await scrollPlace(page)).top, 300);
      await page.getByRole("button", { name: "Jump to the newest" }).click();
      await seen(page, "new 50");
      await waitFor("the end in sight", async () => (await scrollPlace(page)).fromEnd < 4);
      await page.getByText("Following").waitFor();
    }));

  test("lets new records wait while a record is open", () =>
    visit("/live?device=sensor-4", async (page) => {
      await send(["look at me"], "sensor-4");
      await seen(page, "look at me");
      await page.keyboard.press("j");
      await page.keyboard.press("Enter");
      await page.locator(".detail").waitFor();
      await send(["later"], "sensor-4");
      await status(page, "Paused: 1 new record");
      await page.keyboard.press("Escape");
      await seen(page, "later");
    }));

  test("keeps the newest 5,000 records, and omits none that arrived during a long pause", () =>
    visit("/live?device=sensor-5", async (page) => {
      await page.keyboard.press(" ");
      for (let n = 1; n <= 13; n += 1) await send(named(`part ${n}`, 500), "sensor-5");
      // The dashboard stops reading at 5,000; later records are in the stream.
      await status(page, /Paused: (5,\d|6,\d)\d\d new records/);
      await page.keyboard.press(" ");
      await seen(page, "part 13 500");
      await status(page, "5,000 records here (the newest are kept)");
      await page.locator(".rows").evaluate((element) => element.scrollTo(0, 0));
      await seen(page, "part 4 1");
    }));

  test("reconnects and resumes where it stopped; a gap is shown at its place", async () => {
    await using hop = await Hop.before(Number(new URL(fleet.url).port));
    const { page, problems } = await browser.open(`http://${hop.address}`);
    await page.goto("/live?device=sensor-6");
    await page.getByText("Following").waitFor();
    await send(["before"], "sensor-6");
    await seen(page, "before");
    const without = async (meanwhile: () => Promise<unknown>) => {
      hop.retarget(1); // nothing listens there
      hop.cutAll();
      await page.getByRole("status").filter({ hasText: "Reconnecting" }).waitFor();
      await meanwhile();
      hop.retarget(Number(new URL(fleet.url).port));
      await page.getByText("Following").waitFor();
    };
    await without(() => send(["meanwhile"], "sensor-6"));
    await seen(page, "meanwhile");
    assert.equal(await page.locator(".live-note").count(), 0);
    await without(() => client.flushall());
    await page.getByText("Records may be missing here").waitFor();
    await send(["after"], "sensor-6");
    await seen(page, "after");
    const texts = await page.locator(".rows .cell-message, .rows .live-note").allTextContents();
    assert.deepEqual(
      texts.map((text) => text.split(/[ :]/, 1)[0]),
      ["before", "meanwhile", "Records", "after"],
    );
    const link = page.getByRole("link", { name: "Explore that time" });
    assert.match((await link.getAttribute("href")) ?? "", /^\/\?from=.*&to=.*&device=sensor-6$/);
    await page.context().close();
    assert.deepEqual(
      problems.filter((problem) => !problem.includes("net::ERR")),
      [],
    );
  });

  test("is linked from a device's page, and is readable on a narrow screen in dark", () =>
    visit(
      "/live",
      async (page) => {
        await page.goto("/devices/pump-7");
        await page.getByRole("link", { name: "Follow it live" }).click();
        await seen(page, "stored before");
        assert.equal(new URL(page.url()).pathname + new URL(page.url()).search, "/live?device=pump-7");
        const width = await page.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(width <= 390, `${width} px wide`);
      },
      { viewport: { width: 390, height: 780 }, colorScheme: "dark" },
    ));
});

const named = (name: string, count: number) => Array.from({ length: count }, (_, i) => `${name} ${i + 1}`);
const seen = async (page: Page, text: string) => {
  await page.locator(".rows .row", { hasText: text }).first().waitFor();
};
/** The text of the status line, once it contains this. */
const status = (page: Page, text: string | RegExp) =>
  page.locator(".toolbar .status", { hasText: text }).waitFor();
const scrollPlace = (page: Page) =>
  page.locator(".rows").evaluate(({ scrollTop, clientHeight, scrollHeight }) => ({
    top: scrollTop,
    fromEnd: scrollHeight - clientHeight - scrollTop,
  }));
