import { hash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder, stateFolder } from "#local/folders.ts";

export interface GoPrograms {
  /** test/clients/go-edge. */
  readonly edge: string;
  readonly grpcurl: string;
}

const source = join(projectFolder, "test/clients/go-edge");
const protos = ["ingest", "log", "query"].map((name) => `fleetlog/v1/${name}.proto`);
const plugins = ["protoc-gen-go", "protoc-gen-go-grpc", "protoc-gen-connect-go"];

/** Why there can be no Go clients here; undefined when there can. */
export async function whyNoGo(): Promise<string | undefined> {
  const { stdout, exitCode } = await execa("go", ["env", "GOVERSION"], { reject: false });
  if (exitCode !== 0) return "there is no Go in PATH: install 1.26 or later (https://go.dev/dl)";
  const [, minor] = /^go1\.(\d+)/.exec(stdout) ?? [];
  return Number(minor) >= 26 ? undefined : `Go in PATH is ${stdout}: install 1.26 or later`;
}

/** Builds the clients in the versions of their go.mod, with code generated from the protos; kept in .fleetlog. */
export async function buildGoPrograms(): Promise<GoPrograms> {
  const inputs = [
    ...["main.go", "go.mod", "go.sum"].map((file) => join(source, file)),
    ...protos.map((proto) => join(projectFolder, "proto", proto)),
  ];
  const key = hash("sha256", inputs.map((file) => readFileSync(file, "utf8")).join("\0")).slice(0, 16);
  const parent = join(stateFolder, "clients");
  const folder = join(parent, `go-edge-${key}`);
  if (!existsSync(folder)) {
    await mkdir(parent, { recursive: true });
    const attempt = await mkdtemp(join(parent, ".go-edge-"));
    try {
      await build(attempt);
      await rename(attempt, folder).catch((error: unknown) => {
        if (!existsSync(folder)) throw error; // another one was faster
      });
    } finally {
      await rm(attempt, { recursive: true, force: true });
    }
  }
  return { edge: join(folder, "bin/edge"), grpcurl: join(folder, "bin/grpcurl") };
}

async function build(folder: string): Promise<void> {
  await cp(source, folder, { recursive: true });
  const go = execa({ cwd: folder, env: { GOFLAGS: "-mod=readonly -buildvcs=false" }, timeout: 600_000 });
  await mkdir(join(folder, "bin"));
  await go`go build -o bin/ tool`;
  // The protos name no package for Go.
  const packages = protos.map((proto) => `M${proto}=fleetlog.test/edge/gen/fleetlog/v1;fleetlogv1`);
  const template = {
    version: "v2",
    plugins: plugins.map((plugin) => ({
      local: join(folder, "bin", plugin),
      out: "gen",
      opt: ["paths=source_relative", ...packages],
    })),
  };
  await execa(
    join(projectFolder, "node_modules/.bin/buf"),
    ["generate", "--template", JSON.stringify(template), "-o", folder, "--path", "proto/fleetlog"],
    { cwd: projectFolder },
  );
  await go`go build -o bin/edge .`;
}
