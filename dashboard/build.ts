import { createHash } from "node:crypto";
import { existsSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const dashboardFolder = dirname(fileURLToPath(import.meta.url));
const projectFolder = dirname(dashboardFolder);
const distFolder = join(dashboardFolder, "dist");

/**
 * Builds the dashboard into dashboard/dist, each file with its gzipped twin, unless dist was built from the
 * same sources. Returns whether it built. Several processes may call it at once: the folder is replaced as a
 * whole.
 */
export async function buildDashboard(): Promise<boolean> {
  const wanted = hashSources();
  if (builtFrom() === wanted) return false;
  const fresh = `${distFolder}-${process.pid}`;
  try {
    await build({
      root: dashboardFolder,
      logLevel: "warn",
      configFile: false,
      build: {
        outDir: fresh,
        target: "es2023",
        // Keeps light-dark() unchanged.
        cssTarget: ["chrome123", "firefox120", "safari17.5"],
        // The Content-Security-Policy forbids inline scripts and styles.
        assetsInlineLimit: 0,
        modulePreload: false,
        reportCompressedSize: false,
      },
      oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
    });
    for (const file of globSync("**/*.{js,css,html,svg}", { cwd: fresh })) {
      writeFileSync(join(fresh, `${file}.gz`), gzipSync(readFileSync(join(fresh, file)), { level: 9 }));
    }
    writeFileSync(join(fresh, ".built-from"), wanted);
    rmSync(distFolder, { recursive: true, force: true });
    renameSync(fresh, distFolder);
  } catch (error) {
    // Another process that builds the same sources may have replaced the folder first.
    if (builtFrom() !== wanted) throw error;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return true;
}

function builtFrom(): string | undefined {
  const file = join(distFolder, ".built-from");
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}

function hashSources(): string {
  const hash = createHash("sha256");
  const sources = globSync(
    ["dashboard/**/*.{ts,tsx,css,html,svg,json}", "proto/gen/**/*.ts", "package-lock.json"],
    {
      cwd: projectFolder,
      exclude: (path) => /(^|\/)(dist(-\d+)?|testing)(\/|$)|\.test\.ts$/.test(path),
    },
  );
  for (const file of sources.sort()) hash.update(`${file}\0`).update(readFileSync(join(projectFolder, file)));
  return hash.digest("hex");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log((await buildDashboard()) ? "dashboard/dist is built" : "dashboard/dist is current");
}
