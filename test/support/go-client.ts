import { cp, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";

const goVersionMin = [1, 26] as const;

/** Why there can be no Go client here, and what to do about it; undefined when there can. */
export async function whyNoGo(): Promise<string | undefined> {
  const wanted = `install Go ${goVersionMin.join(".")} or later (https://go.dev/dl)`;
  const version = await goVersion();
  if (version === undefined) return `there is no Go in PATH: ${wanted}`;
  const [, major = 0, minor = 0] = (/go(\d+)\.(\d+)/.exec(version) ?? []).map(Number);
  const isEnough = major > goVersionMin[0] || (major === goVersionMin[0] && minor >= goVersionMin[1]);
  return isEnough ? undefined : `Go in PATH is ${version.trim()}: ${wanted}`;
}

/**
 * Builds the program in test/clients/`name` and the tools of its go.mod, in the versions that it names, and returns how to
 * call one of them: the program is "client". The code that the plugins among the tools make of the protos is in the
 * module's package gen/fleetlog/v1.
 */
export async function goClient(name: string): Promise<(program: string) => string> {
  const source = `test/clients/${name}`;
  const tools = (await goVersion()) ?? "";
  const folder = await cachedBuild(name, [source, "proto/fleetlog"], tools, async (work) => {
    await cp(join(projectFolder, source), work, { recursive: true });
    const go = execa({ cwd: work, env: { GOFLAGS: "-mod=readonly -buildvcs=false" }, timeout });
    await mkdir(join(work, "bin"));
    await go`go build -o bin/ tool`;
    await generate(work, (await go`go list -m`).stdout);
    await go`go build -o bin/client .`;
  });
  return (program) => join(folder, "bin", program);
}

/** For modules to arrive and grpc-go to be compiled, which takes a minute of CPU. */
const timeout = 600_000;

async function generate(work: string, module: string): Promise<void> {
  const files = await readdir(join(projectFolder, "proto/fleetlog/v1"));
  // The protos name no package for Go.
  const packages = files.map((file) => `Mfleetlog/v1/${file}=${module}/gen/fleetlog/v1;fleetlogv1`);
  const plugins = (await readdir(join(work, "bin"))).filter((tool) => tool.startsWith("protoc-gen-"));
  const template = {
    version: "v2",
    plugins: plugins.map((plugin) => ({
      local: join(work, "bin", plugin),
      out: "gen",
      opt: ["paths=source_relative", ...packages],
    })),
  };
  await execa(
    join(projectFolder, "node_modules/.bin/buf"),
    ["generate", "--template", JSON.stringify(template), "-o", work, "--path", "proto/fleetlog"],
    { cwd: projectFolder },
  );
}

export async function goVersion(): Promise<string | undefined> {
  const { stdout, exitCode } = await execa("go", ["env", "GOVERSION"], { reject: false });
  return exitCode === 0 ? stdout : undefined;
}
