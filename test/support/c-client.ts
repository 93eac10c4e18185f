import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";
import type { ProgramCommand } from "./device-program.ts";

const library = join(projectFolder, "clients/c");

/** Why there can be no C client here, and what to do about it; undefined when there can. */
export async function whyNoC(): Promise<string | undefined> {
  if (!(await works("cc", ["--version"])) || !(await works("make", ["--version"])))
    return "there is no C compiler or no make in PATH: install gcc and make";
  if (!(await works("python3", ["-c", "import ensurepip, venv"])))
    return "there is no Python 3 with venv in PATH, which nanopb needs: install python3 and python3-venv";
  if (!(await works("apt-get", ["--version"])))
    return "there is no apt-get, which fetches nanopb: see clients/c/nanopb/fetch.sh";
  return undefined;
}

async function works(command: string, args: readonly string[]): Promise<boolean> {
  return (await execa(command, args, { reject: false })).exitCode === 0;
}

/** Which compilers there are: what make calls cc, and clang where it is installed. */
export async function cCompilers(): Promise<readonly string[]> {
  return (await works("clang", ["--version"])) ? ["cc", "clang"] : ["cc"];
}

/** The folder with nanopb's sources and its generator. */
export function fetchNanopb(): Promise<string> {
  return cachedBuild("nanopb", ["clients/c/nanopb"], "", async (work) => {
    await execa(join(library, "nanopb/fetch.sh"), [work], { timeout });
  });
}

/** Builds `targets` of clients/c/Makefile into the folder `build`. */
export async function makeC(
  build: string,
  targets: readonly string[],
  variables: Readonly<Record<string, string>> = {},
): Promise<void> {
  const nanopb = await fetchNanopb();
  const assignments = Object.entries({ BUILD: build, NANOPB: nanopb, ...variables }).map((pair) =>
    pair.join("="),
  );
  await execa("make", ["-C", library, ...assignments, ...targets.map((target) => join(build, target))], {
    timeout,
  });
}

/** Builds a program of these sources and the library, with these flags of the compiler, and returns its path. */
export function cProgram(
  name: string,
  sources: readonly string[],
  flags: readonly string[] = checked,
): Promise<string> {
  return buildC(`${name}-${flags.join("").replaceAll(/[^a-z0-9]/gi, "")}`, name, async (work) => {
    await makeC(work, ["libfleetlog.a"], { CFLAGS: flags.join(" ") });
    const paths = sources.map((source) => join(projectFolder, source));
    const generated = join(work, "generated");
    const messages = ["log", "ingest"].map((file) => join(generated, `fleetlog/v1/${file}.pb.c`));
    await compile(work, [...flags, `-I${generated}`], name, [...paths, ...messages]);
  });
}

/** The device of the fault matrix, for records of any size and sessions of any name. */
export async function cDevice(): Promise<ProgramCommand> {
  const defines = ["-DFLEETLOG_SESSION_MAX=64", "-DPB_ENABLE_MALLOC", "-DPB_FIELD_32BIT"];
  const command = await buildC("device", "device", async (work) => {
    const flags = [...checked, ...defines];
    const device = join(projectFolder, "test/clients/c");
    await makeC(work, ["libfleetlog.a"], { CFLAGS: flags.join(" ") });
    const records = join(work, "records");
    await mkdir(records);
    const python = join(await fetchNanopb(), "python/bin/python");
    const generator = ["-m", "nanopb.generator.nanopb_generator", "-q", "-f", join(device, "log.options")];
    await execa(python, [
      ...generator,
      "-I",
      join(projectFolder, "proto"),
      "-D",
      records,
      "fleetlog/v1/log.proto",
    ]);
    const sources = [
      join(device, "device.c"),
      join(library, "posix/fleetlog_posix.c"),
      join(records, "fleetlog/v1/log.pb.c"),
    ];
    await compile(work, [...flags, `-I${records}`], "device", sources);
  });
  return { command, args: ["--report-kept"] };
}

async function buildC(
  cacheName: string,
  program: string,
  build: (work: string) => Promise<void>,
): Promise<string> {
  const { stdout: version } = await execa("cc", ["--version"]);
  const sources = [
    ...(await cSources("clients/c")),
    ...(await cSources("test/clients/c")),
    "proto/fleetlog",
    "test/support/c-client.ts",
  ];
  return join(await cachedBuild(`c-${cacheName}`, sources, version, build), program);
}

/** Not the tests and documents: a program in use must not be built again and removed because of them. */
async function cSources(folder: string): Promise<readonly string[]> {
  const names = await readdir(join(projectFolder, folder), { recursive: true });
  return names
    .filter((name) => /\.[ch]$|\.options$|^Makefile$/.test(name))
    .toSorted()
    .map((name) => join(folder, name));
}

async function compile(
  work: string,
  flags: readonly string[],
  name: string,
  sources: readonly string[],
): Promise<void> {
  const includes = [
    `-I${library}`,
    `-I${join(library, "posix")}`,
    "-isystem",
    await fetchNanopb(),
    "-DPB_NO_ERRMSG",
  ];
  const warnings = ["-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror"];
  await execa(
    "cc",
    [
      ...flags,
      ...includes,
      ...warnings,
      "-o",
      join(work, name),
      ...sources,
      join(work, "libfleetlog.a"),
      "-lpthread",
    ],
    { timeout },
  );
}

/** With the compiler's checks at runtime. */
const checked = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
/** For nanopb to arrive. */
const timeout = 300_000;
