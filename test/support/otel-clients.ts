import { cp } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { cachedBuild, cachedFolder } from "./cached-build.ts";
import { goVersion } from "./go-client.ts";
import { makeEnvironment } from "./python-client.ts";

/** How to call a sender: command and first arguments. Then follow PROTOCOL ENDPOINT DEVICE COUNT PER_SECOND. */
export type OtelSender = readonly [command: string, ...args: string[]];

/** For packages to arrive and to be compiled. */
const timeout = 600_000;

const toSource = (name: string) => `test/clients/${name}`;

/** OpenTelemetry's SDK for JavaScript, in the versions of test/clients/otel-js. */
export async function otelJs(): Promise<OtelSender> {
  const folder = await cachedBuild("otel-js", [toSource("otel-js")], process.version, async (work) => {
    await cp(join(projectFolder, toSource("otel-js")), work, { recursive: true });
    await execa("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], { cwd: work, timeout });
  });
  return [process.execPath, join(folder, "send.mjs")];
}

/** The SDK for Python. */
export async function otelPython(): Promise<OtelSender> {
  const { stdout: version } = await execa("python3", ["-VV"]);
  const folder = await cachedBuild("otel-python", [toSource("otel-python")], version, async (work) => {
    await makeEnvironment(work, `${toSource("otel-python")}/requirements.txt`);
  });
  return [join(folder, "bin/python"), join(projectFolder, toSource("otel-python"), "send.py")];
}

/** The SDK for Go. */
export async function otelGo(): Promise<OtelSender> {
  const folder = await cachedBuild(
    "otel-go",
    [toSource("otel-go")],
    (await goVersion()) ?? "",
    async (work) => {
      await cp(join(projectFolder, toSource("otel-go")), work, { recursive: true });
      await execa("go", ["build", "-o", "send", "."], { cwd: work, env: goEnv, timeout });
    },
  );
  return [join(folder, "send")];
}

const collectorBuilder = "go.opentelemetry.io/collector/cmd/builder@v0.165.0";

/** The path of OpenTelemetry's Collector, with the parts that test/clients/otel-collector/builder.yaml names. */
export async function otelCollector(): Promise<string> {
  const name = "otel-collector";
  const folder = await cachedBuild(name, [toSource(name)], (await goVersion()) ?? "", async (work) => {
    const env = { ...goEnv, GOBIN: work };
    await execa("nice", ["go", "install", collectorBuilder], { env, timeout });
    const config = join(projectFolder, toSource(name), "builder.yaml");
    await execa("nice", [join(work, "builder"), "--config", config], { cwd: work, env, timeout });
  });
  return join(folder, "out/otelcol");
}

/** Whether {@link otelCollector} returns at once. Building takes minutes of CPU. */
export async function isCollectorBuilt(): Promise<boolean> {
  return (
    cachedFolder("otel-collector", [toSource("otel-collector")], (await goVersion()) ?? "") !== undefined
  );
}

const goEnv = { GOFLAGS: "-buildvcs=false" };
