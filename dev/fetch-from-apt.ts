import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { execa } from "execa";

/** Thrown when packages cannot be fetched; the message is a short reason. */
export class AptFetchError extends Error {
  override readonly name = "AptFetchError";
}

/** Which Debian or Ubuntu package holds a library that Redis or Nginx may need. */
const packageByLibrary: Readonly<Record<string, string>> = {
  "libjemalloc.so.2": "libjemalloc2",
  "liblzf.so.1": "liblzf1",
  "liblua5.1.so.0": "liblua5.1-0",
  "liblua5.1-cjson.so.0": "lua-cjson",
  "liblua5.1-bitop.so.0": "lua-bitop",
  "libhiredis.so.0.14": "libhiredis0.14",
  "libhiredis.so.1.1.0": "libhiredis1.1.0",
  "libpcre2-8.so.0": "libpcre2-8-0",
  "libpcre.so.3": "libpcre3",
  "libssl.so.3": "libssl3",
  "libcrypto.so.3": "libssl3",
  "libcrypt.so.1": "libcrypt1",
  "libsystemd.so.0": "libsystemd0",
  "libatomic.so.1": "libatomic1",
  "libz.so.1": "zlib1g",
};

/**
 * Unpacks Debian packages, and those of the libraries that `missing` then lists, into `folder`. The
 * folder appears complete, with a `packages.json` of its contents. It needs no privileges: nothing is
 * installed, and apt keeps its lists in our own folder when the system's are absent or too old.
 */
export async function fetchFromApt(
  packages: readonly string[],
  folder: string,
  missing: (staged: string) => readonly string[],
  { isRenewal = false } = {},
): Promise<void> {
  if (!existsSync("/usr/bin/apt-get")) throw new AptFetchError("this system has no apt-get");
  await mkdir(dirname(folder), { recursive: true });
  const stage = await mkdtemp(join(dirname(folder), `${basename(folder)}.fetching-`));
  try {
    const root = join(stage, "root");
    const versions = await fetchInto(packages, stage, root, isRenewal);
    for (let round = 0; round < 3; round += 1) {
      const libraries = missing(root);
      if (libraries.length === 0) break;
      const more = new Set(libraries.map((library) => packageByLibrary[library] ?? unknownLibrary(library)));
      Object.assign(versions, await fetchInto([...more], stage, root, isRenewal));
    }
    await writeFile(
      join(root, "packages.json"),
      JSON.stringify({ fetchedAt: new Date().toISOString(), versions }),
    );
    await moveIntoPlace(root, folder);
  } finally {
    await rm(stage, { recursive: true, force: true });
  }
}

/** Returns the versions of the packages. A renewal ignores the system's lists, which may be old. */
async function fetchInto(
  packages: readonly string[],
  stage: string,
  root: string,
  isRenewal: boolean,
): Promise<Record<string, string>> {
  const debs = await mkdtemp(join(stage, "debs-"));
  const download = (options: readonly string[]) =>
    execa("apt-get", [...options, "download", ...packages], { cwd: debs, reject: false, timeout: 120_000 });
  let done = isRenewal ? undefined : await download([]);
  if (done?.failed !== false) {
    const lists = join(stage, "lists");
    const cache = join(stage, "cache");
    await mkdir(join(lists, "partial"), { recursive: true });
    await mkdir(join(cache, "archives/partial"), { recursive: true });
    const own = ["-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${cache}`, "-o", "Debug::NoLocking=1"];
    await execa("apt-get", [...own, "update"], { cwd: debs, reject: false, timeout: 180_000 });
    done = await download(own);
  }
  if (done.failed)
    throw new AptFetchError(`apt-get download ${packages.join(" ")}: ${parseAptError(done.stderr)}`);
  const versions: Record<string, string> = {};
  for (const file of (await readdir(debs)).filter((name) => name.endsWith(".deb"))) {
    // name_version_architecture.deb, the version's colon as %3a
    const [name = "", version = ""] = file.split("_");
    versions[name] = decodeURIComponent(version);
    const unpacked = await execa("dpkg", ["-x", join(debs, file), root], { reject: false });
    if (unpacked.failed) throw new AptFetchError(`dpkg -x ${file}: ${parseAptError(unpacked.stderr)}`);
  }
  return versions;
}

/** The first rename wins; concurrent fetches have the same content. Replaces a folder that does not run. */
async function moveIntoPlace(root: string, folder: string): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rename(root, folder);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code;
      if (attempt === 3 || (code !== "ENOTEMPTY" && code !== "EEXIST")) throw error;
      const aside = `${root}.replaced-${attempt}`;
      await rename(folder, aside).catch(() => {}); // another process moved it: the next attempt decides
    }
  }
}

function unknownLibrary(library: string): never {
  throw new AptFetchError(`the library ${library} is missing`);
}

function parseAptError(stderr: string): string {
  return stderr.split("\n").find((line) => line.startsWith("E:")) ?? stderr.trim().split("\n").at(-1) ?? "";
}
