import { accessSync, constants } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { type BrowserContextOptions, chromium, type Page } from "playwright-core";

/** Why the dashboard's tests cannot run here, or false. */
export const noBrowser: string | false =
  findBrowser() === undefined &&
  "THE PAGE WAS NOT TESTED: there is no Chromium on the PATH. Debian and Ubuntu: apt-get install chromium";

function findBrowser(): string | undefined {
  const names = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
  const folders = (process.env.PATH ?? "").split(delimiter);
  return folders.flatMap((folder) => names.map((name) => join(folder, name))).find(isExecutable);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** A browser page in a context of its own, with the errors it reported. */
export interface TestPage {
  readonly page: Page;
  /** Errors on the console, uncaught ones, and violations of the Content-Security-Policy. */
  readonly problems: string[];
}

/** A Chromium that connects to nothing but the gateway. */
export async function startBrowser() {
  const folder = await mkdtemp(join(tmpdir(), "chromium-"));
  const browser = await chromium.launch({
    executablePath: findBrowser() ?? "chromium",
    args: [
      ...(process.getuid?.() === 0 ? ["--no-sandbox"] : []),
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--disable-dev-shm-usage",
    ],
    env: { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_CACHE_HOME: folder },
  });
  return {
    async open(baseURL: string, options: BrowserContextOptions = {}): Promise<TestPage> {
      const context = await browser.newContext({
        baseURL,
        viewport: { width: 1280, height: 800 },
        timezoneId: "Europe/Berlin",
        locale: "en-US",
        ...options,
      });
      context.setDefaultTimeout(60_000);
      const page = await context.newPage();
      const problems: string[] = [];
      page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
      page.on("pageerror", (error) => problems.push(String(error)));
      page.on("dialog", (dialog) => {
        problems.push(`a dialog opened: ${dialog.message()}`);
        void dialog.dismiss();
      });
      return { page, problems };
    },
    async [Symbol.asyncDispose]() {
      await browser.close();
      await rm(folder, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
