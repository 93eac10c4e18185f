import { cp } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder, stateFolder } from "#dev/folders.ts";
import { cachedBuild } from "./cached-build.ts";

/** The first build gets packages and compiles them. */
const timeout = 800_000;

/** Kept, for a change of the protos must not compile all packages again. */
const rustTarget = join(stateFolder, "clients/rust-target");

/** Why there can be no client in this language here; undefined when there can. */
export async function whyNoProgram(program: string): Promise<string | undefined> {
  const { exitCode } = await execa(program, ["--version"], { reject: false });
  return exitCode === 0 ? undefined : `there is no ${program} in PATH`;
}

/** Builds the example and the client of test/clients/rust, which share what they compile, and returns where each is. */
export async function rustPrograms(): Promise<(program: "fleetlog-example" | "behave") => string> {
  const { stdout: version } = await execa("cargo", ["--version"]);
  const crates = ["examples/rust", "test/clients/rust"];
  const folder = await cachedBuild("rust", [...crates, "proto/fleetlog"], version, async (work) => {
    for (const crate of crates) {
      const args = ["build", "--quiet", "--locked", "--target-dir", rustTarget];
      await execa("cargo", args, { cwd: join(projectFolder, crate), timeout });
    }
    for (const program of ["fleetlog-example", "behave"])
      await cp(join(rustTarget, "debug", program), join(work, program));
  });
  return (program) => join(folder, program);
}

/** Builds the example and the client of test/clients/java, and returns the class path of both. */
export async function javaClassPath(): Promise<string> {
  const { stdout: version } = await execa("mvn", ["--version"]);
  const sources = ["examples/java", "test/clients/java", "proto/fleetlog"];
  const folder = await cachedBuild("java", sources, version, async (work) => {
    // Maven builds below its sources, which lie where the protos are: a copy of both.
    for (const source of ["examples/java", "proto/fleetlog"])
      await cp(join(projectFolder, source), join(work, source), { recursive: true });
    const project = join(work, "examples/java");
    await cp(join(projectFolder, "test/clients/java"), join(project, "src/main/java"), { recursive: true });
    const copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies";
    const args = ["--quiet", "--batch-mode", "compile", copy, "-DoutputDirectory=target/libraries"];
    await execa("mvn", args, { cwd: project, timeout });
  });
  const target = join(folder, "examples/java/target");
  return `${join(target, "classes")}:${join(target, "libraries", "*")}`;
}
