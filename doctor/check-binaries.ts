import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Finding, ok, warn } from "./finding.ts";

/** Debian releases security updates for the front door's programs about once a month. */
const ageDaysMax = 30;

const checked: Readonly<Record<string, string>> = { redis: "redis-server", nginx: "nginx" };

/** Of the binaries that `npm start` fetched into `folder` instead of having them installed, how old they are. */
export async function checkBinaries(folder: string): Promise<Finding[]> {
  const names = await readdir(folder).catch(() => []); // nothing was ever fetched
  const fetched = names.filter((name) => name in checked);
  return Promise.all(fetched.map((name) => checkBinary(name, join(folder, name))));
}

async function checkBinary(name: string, folder: string): Promise<Finding> {
  const check = `binaries.${name}`;
  const fix =
    "It gets no automatic security updates. Stop npm start and run npm start -- --renew-binaries, or install the package, which takes precedence.";
  const note = await readNote(join(folder, "packages.json"));
  const packageName = checked[name] ?? name;
  const version = note?.versions[packageName];
  if (note === undefined || version === undefined) return warn(check, "downloaded, version unknown", fix);
  const days = Math.floor((Date.now() - Date.parse(note.fetchedAt)) / 86_400_000);
  const candidate = await findCandidate(packageName);
  const newer = candidate !== undefined && candidate !== version ? `; the archive has ${candidate}` : "";
  const found = `${packageName} ${version}, downloaded ${days} days ago${newer}`;
  return newer !== "" || days > ageDaysMax ? warn(check, found, fix) : ok(check, found);
}

interface Note {
  readonly fetchedAt: string;
  readonly versions: Readonly<Record<string, string>>;
}

async function readNote(file: string): Promise<Note | undefined> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as Note;
  } catch {
    return undefined; // fetched by an earlier version
  }
}

/** The version in the system's lists, as old as they are; undefined when they cannot be read. */
async function findCandidate(packageName: string): Promise<string | undefined> {
  try {
    // In English, whatever the system's language.
    const args = ["LC_ALL=C", "apt-cache", "policy", packageName];
    const { stdout } = await promisify(execFile)("env", args, { timeout: 10_000 });
    return /^ +Candidate: (\d\S*)$/m.exec(stdout)?.[1];
  } catch {
    return undefined; // no apt here
  }
}
