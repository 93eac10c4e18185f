import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";
import type { ProgramCommand } from "./device-program.ts";
import { makeEnvironment } from "./python-client.ts";

const packageFolder = join(projectFolder, "clients/python");

/**
 * Makes an environment with what clients/python needs and is tested with, and returns its Python. The package is on
 * its path from the source folder; see `pythonEnv`.
 */
export async function packagePython(): Promise<string> {
  const requirements = "clients/python/tests/requirements.txt";
  const { stdout: version } = await execa("python3", ["-VV"]);
  const folder = await cachedBuild("python-package", [requirements], version, async (work) => {
    await makeEnvironment(work, requirements);
  });
  return join(folder, "bin/python");
}

/** The environment of a Python program that imports the package from its source. */
export const pythonEnv = { PYTHONPATH: join(packageFolder, "src"), PYTHONDONTWRITEBYTECODE: "1" } as const;

/** How to call the device program that the fault matrix drives. */
export async function pythonDevice(): Promise<ProgramCommand> {
  const program = join(projectFolder, "test/clients/python-device/device.py");
  return { command: await packagePython(), args: [program], env: pythonEnv };
}
