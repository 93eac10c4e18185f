import { cp } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#local/folders.ts";
import { cachedBuild } from "./cached-build.ts";

const goVersionMin = [1, 26] as const;
const module = "fleetlog.test/client";

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
 * Builds the program in test/clients/`name` with what protoc-gen-go and protoc-gen-go-grpc make of the protos, in the
 * versions of its go.mod, and returns its path. The generated packages are `fleetlog.test/client/gen/fleetlog/v1`.
 */
export async function goClient(name: string): Promise<string> {
  const source = `test/clients/${name}`;
  const tools = (await goVersion()) ?? "";
  const folder = await cachedBuild(name, [source, "proto/fleetlog"], tools, async (work) => {
    await cp(join(projectFolder, source), work, { recursive: true });
    const go = execa({ cwd: work, env: { GOFLAGS: "-mod=readonly -buildvcs=false" }, timeout });
    const plugins = ["protoc-gen-go", "protoc-gen-go-grpc"];
    await go`go build -o bin/ google.golang.org/protobuf/cmd/protoc-gen-go google.golang.org/grpc/cmd/protoc-gen-go-grpc`;
    const template = {
      version: "v2",
      plugins: plugins.map((plugin) => ({
        local: join(work, "bin", plugin),
        out: "gen",
        opt: pluginOptions,
      })),
    };
    const buf = join(projectFolder, "node_modules/.bin/buf");
    const paths = protos.flatMap((proto) => ["--path", `proto/${proto}`]);
    await execa(buf, ["generate", "--template", JSON.stringify(template), "-o", work, ...paths], {
      cwd: projectFolder,
    });
    await go`go build -o bin/client .`;
  });
  return join(folder, "bin/client");
}

/** For modules to arrive and grpc-go to be compiled, which takes a minute of CPU. */
const timeout = 600_000;
const protos = ["fleetlog/v1/ingest.proto", "fleetlog/v1/log.proto"];
/** The protos name no package for Go. */
const pluginOptions = [
  "paths=source_relative",
  ...protos.map((proto) => `M${proto}=${module}/gen/fleetlog/v1;fleetlogv1`),
];

async function goVersion(): Promise<string | undefined> {
  const { stdout, exitCode } = await execa("go", ["env", "GOVERSION"], { reject: false });
  return exitCode === 0 ? stdout : undefined;
}
