// The first thing that runs after a clone, so it is plain JavaScript without dependencies and works on Node 20:
// installs what package-lock.json names, then runs the given script on the Node version the project pins.
//
//   node dev/bootstrap.mjs dev/start.ts [arguments…]

import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const pinnedNode = join(root, "node_modules/node/bin/node");
const lock = join(root, ".fleetlog/install.lock");
const lockWaitMs = 10 * 60_000;
const pidWithinMs = 10_000;

/** Installs if needed, runs `script` (a path inside the project) on the pinned Node and ends like it. */
export async function enter(script, args) {
  if (process.platform === "win32") fail("Fleetlog runs on Linux and macOS; on Windows use WSL.");
  await install();
  const child = spawn(pinnedNode, [join(root, script), ...args], {
    stdio: "inherit",
    env: { ...process.env, PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH ?? ""}` },
  });
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => fail(`${pinnedNode} does not run: ${error.message}`));
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

async function install() {
  if (isCurrent()) return;
  mkdirSync(dirname(lock), { recursive: true });
  await takeLock();
  try {
    if (isCurrent()) return; // someone else installed while this one waited
    process.stderr.write("Installing dependencies (npm ci) …\n");
    const npmArgs = ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"];
    const npm = process.env.npm_execpath?.endsWith("npm-cli.js")
      ? { command: process.execPath, args: [process.env.npm_execpath, ...npmArgs] }
      : { command: "npm", args: npmArgs };
    // npm's report goes to stderr, so that the output of the script stays alone on stdout.
    const done = spawnSync(npm.command, npm.args, { cwd: root, stdio: ["ignore", 2, 2] });
    if (done.status !== 0) fail("The dependencies could not be installed: see npm's message above.");
    if (!isCurrent())
      fail("The dependencies are incomplete after npm ci: remove node_modules and try again.");
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

/** True when node_modules holds what package-lock.json names. npm writes its own list last, so a broken install is seen. */
function isCurrent() {
  const installedList = join(root, "node_modules/.package-lock.json");
  if (!existsSync(installedList) || !existsSync(pinnedNode)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const installed = JSON.parse(readFileSync(installedList, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === "" || (installed[path] === undefined ? optional : installed[path].version === version),
  );
}

/** One installer at a time: `npm start` and `npm test` may be started side by side on a fresh clone. */
async function takeLock() {
  const giveUpAt = Date.now() + lockWaitMs;
  for (;;) {
    try {
      mkdirSync(lock);
      writeFileSync(join(lock, "pid"), `${process.pid} ${startOf(process.pid)}`);
      process.on("exit", () => rmSync(lock, { recursive: true, force: true }));
      return;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    if (!holderIsAlive()) rmSync(lock, { recursive: true, force: true });
    if (Date.now() > giveUpAt) fail(`Another npm ci holds ${lock} for too long: remove that folder.`);
    await new Promise((done) => setTimeout(done, 300));
  }
}

/** By its pid and when it began: after a crash the number alone may be another process. */
function holderIsAlive() {
  try {
    const [pid, ...start] = readFileSync(join(lock, "pid"), "utf8").split(" ");
    return startOf(pid) !== "" && startOf(pid) === start.join(" ");
  } catch {
    // Taken a moment ago and no pid written yet, or killed in between.
    return Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0) < pidWithinMs;
  }
}

/** When a process began, as its system tells it; empty when there is none. */
function startOf(pid) {
  if (process.platform !== "linux")
    return spawnSync("ps", ["-o", "lstart=", "-p", String(pid)], { encoding: "utf8" }).stdout.trim();
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? "";
  } catch {
    return "";
  }
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await enter(process.argv[2], process.argv.slice(3));
}
