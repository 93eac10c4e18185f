import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";
import type { ProgramCommand } from "./device-program.ts";
import { goVersion } from "./go-client.ts";

/** The folder of the module, and Go in it. */
export const goModule = join(projectFolder, "clients/go");

export function go(folder: string = goModule) {
  return execa({ cwd: folder, env: { GOFLAGS: "-mod=readonly -buildvcs=false" }, timeout, all: true });
}

/** For modules to arrive and grpc-go to be compiled, which takes a minute of CPU. */
const timeout = 600_000;

/** Builds the programs around clients/go, and returns the path of each: "device" and "example". */
export async function goPrograms(): Promise<(program: "device" | "example") => string> {
  const device = "test/clients/go-device";
  const sources = [...(await goSources("clients/go")), ...(await goSources(device))];
  const folder = await cachedBuild("go-package", sources, (await goVersion()) ?? "", async (work) => {
    await mkdir(join(work, "bin"));
    await go()`go build -o ${join(work, "bin/example")} ./example`;
    await go(join(projectFolder, device))`go build -o ${join(work, "bin/device")} .`;
  });
  return (program) => join(folder, "bin", program);
}

/** Not the tests: a program in use must not be built again and removed because of them. */
async function goSources(module: string): Promise<readonly string[]> {
  const names = await readdir(join(projectFolder, module), { recursive: true });
  return names
    .filter((name) => /\.go$|^go\.(mod|sum)$/.test(name) && !name.endsWith("_test.go"))
    .toSorted()
    .map((name) => join(module, name));
}

/** The device program of the fault matrix. */
export async function goDevice(): Promise<ProgramCommand> {
  return { command: (await goPrograms())("device"), args: ["--report-kept"] };
}
