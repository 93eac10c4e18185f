import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";

const toFolder = (name: string) => join(projectFolder, "test/clients", name);

/** Why there can be no Python client here, and what to do about it; undefined when there can. */
export async function whyNoPython(): Promise<string | undefined> {
  const { exitCode } = await execa("python3", ["-c", "import ensurepip, venv"], { reject: false });
  return exitCode === 0
    ? undefined
    : "there is no Python 3 with venv in PATH: install python3 and python3-venv";
}

/**
 * Makes an environment with the packages of test/clients/`name`/requirements.txt and with what grpcio-tools makes of the
 * protos, and returns how to call its client.py: command and first arguments.
 */
export async function pythonClient(name: string): Promise<readonly [command: string, ...args: string[]]> {
  const { stdout: version } = await execa("python3", ["-VV"]);
  const sources = [`test/clients/${name}`, "proto/fleetlog"];
  const folder = await cachedBuild(name, sources, version, async (work) => {
    const python = await makeEnvironment(work, `test/clients/${name}/requirements.txt`);
    await python(
      "grpc_tools.protoc",
      "-Iproto",
      `--python_out=${work}`,
      `--grpc_python_out=${work}`,
      ...protos,
    );
  });
  return [join(folder, "bin/python"), join(toFolder(name), "client.py"), folder];
}

/** Makes an environment with these packages in an empty folder, and returns how to call a module of its Python. */
export async function makeEnvironment(folder: string, requirements: string) {
  const python = (...args: readonly string[]) =>
    execa(join(folder, "bin/python"), ["-m", ...args], { cwd: projectFolder, stdin: "ignore", timeout });
  await execa("python3", ["-m", "venv", folder], { timeout });
  await python("pip", "install", "--quiet", "--only-binary", ":all:", "-r", requirements);
  return python;
}

/** For packages to arrive. */
const timeout = 300_000;
const protos = ["fleetlog/v1/ingest.proto", "fleetlog/v1/log.proto"];
