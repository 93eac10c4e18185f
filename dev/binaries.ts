import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { AptFetchError, fetchFromApt } from "./fetch-from-apt.ts";
import { binariesFolder } from "./folders.ts";

/** A program that we run but do not ship, and the environment for its libraries. */
export interface Binary {
  readonly command: string;
  readonly env: Readonly<Record<string, string>>;
  /** "PATH" or "fetched". */
  readonly from: string;
}

export type BinaryName = keyof typeof binaries;

/** Thrown when a part is neither there nor to be fetched; says the command that installs it on this system. */
export class MissingBinaryError extends Error {
  override readonly name = "MissingPartError";
}

const binaries = {
  redis: {
    title: "Redis",
    binary: "redis-server",
    versionArgument: "--version",
    // Debian's redis-server is a link to redis-check-rdb, which lives in redis-tools.
    packages: ["redis-server", "redis-tools"],
  },
  nginx: { title: "Nginx", binary: "nginx", versionArgument: "-v", packages: ["nginx"] },
  // Only tests want it, for promtool.
  prometheus: {
    title: "Prometheus",
    binary: "promtool",
    versionArgument: "--version",
    packages: ["prometheus"],
  },
} as const;

/**
 * The binary from PATH, else fetched from the system's package archive into `.fleetlog/binaries/` without installing,
 * which needs no rights. Safe to call from several processes at once.
 */
export async function findBinary(name: BinaryName): Promise<Binary> {
  const { title, binary, versionArgument, packages } = binaries[name];
  for (const folder of searchPath()) {
    const command = join(folder, binary);
    if (runs(command, versionArgument, {})) return { command, env: {}, from: "PATH" };
  }
  const folder = join(binariesFolder, name);
  if (/[:;]/.test(folder)) {
    // The dynamic linker takes both for the end of a folder in LD_LIBRARY_PATH.
    throw new MissingBinaryError(
      `${title} is missing, and cannot run from ${folder}, whose path has ":" or ";": move the project, or install ${title} with: ${installCommand(name)}`,
    );
  }
  try {
    return (
      fetched(folder, binary, versionArgument) ??
      (await fetchFromApt(packages, folder, (staged) => missingLibraries(staged, binary)),
      fetched(folder, binary, versionArgument) ?? fail(`the downloaded ${binary} does not run`))
    );
  } catch (error) {
    if (!(error instanceof AptFetchError)) throw error;
    throw new MissingBinaryError(
      `${title} is missing and could not be downloaded (${error.message}). Install it with: ${installCommand(name)}`,
    );
  }
}

/**
 * Fetches Redis and Nginx anew, as the package archive has them now: what was fetched gets no security updates automatically.
 * What runs goes on with the old files until it is started again; when it fails, the old ones stay.
 */
export async function refreshBinaries(into = binariesFolder): Promise<readonly BinaryName[]> {
  const names = ["redis", "nginx"] as const;
  for (const name of names) {
    const { binary, packages } = binaries[name];
    const missing = (staged: string) => missingLibraries(staged, binary);
    await fetchFromApt(packages, join(into, name), missing, { isRenewal: true });
  }
  return names;
}

function fetched(folder: string, binary: string, versionArgument: string): Binary | undefined {
  const env = { LD_LIBRARY_PATH: libraryFolders(folder).join(delimiter) };
  return ["usr/bin", "usr/sbin"]
    .map((where) => join(folder, where, binary))
    .filter((command) => runs(command, versionArgument, env))
    .map((command) => ({ command, env, from: "fetched" }))[0];
}

/** Names such as "libjemalloc.so.2" that the binary needs and neither the system nor `folder` has. */
function missingLibraries(folder: string, binary: string): readonly string[] {
  const command = ["usr/bin", "usr/sbin"]
    .map((where) => join(folder, where, binary))
    .find((path) => existsSync(path));
  if (!command) return [];
  const env = { ...process.env, LD_LIBRARY_PATH: libraryFolders(folder).join(delimiter) };
  const listed = spawnSync("ldd", [command], { encoding: "utf8", env }).stdout ?? "";
  return [...listed.matchAll(/^\s*(\S+) => not found$/gm)].map((match) => match[1] as string);
}

function libraryFolders(folder: string): readonly string[] {
  const machine = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch;
  return [`usr/lib/${machine}-linux-gnu`, `lib/${machine}-linux-gnu`, "usr/lib"].map((path) =>
    join(folder, path),
  );
}

/** PATH, and where packages put daemons on systems whose ordinary users do not have sbin in it. */
function searchPath(): readonly string[] {
  const extra = ["/usr/local/bin", "/opt/homebrew/bin", "/usr/local/sbin", "/usr/sbin", "/sbin"];
  return [...new Set([...(process.env.PATH ?? "").split(delimiter), ...extra])].filter((path) => path !== "");
}

function runs(command: string, versionArgument: string, env: Readonly<Record<string, string>>): boolean {
  if (!existsSync(command)) return false;
  return (
    spawnSync(command, [versionArgument], { stdio: "ignore", env: { ...process.env, ...env } }).status === 0
  );
}

function installCommand(name: BinaryName): string {
  if (process.platform === "darwin") return `brew install ${name}`;
  if (existsSync("/usr/bin/apt-get"))
    return `sudo apt-get install ${name === "redis" ? "redis-server" : name}`;
  if (existsSync("/usr/bin/dnf")) return `sudo dnf install ${name}`;
  if (existsSync("/sbin/apk")) return `sudo apk add ${name}`;
  if (existsSync("/usr/bin/pacman")) return `sudo pacman -S ${name}`;
  return `the package manager of this system (package ${name})`;
}

function fail(message: string): never {
  throw new AptFetchError(message);
}
