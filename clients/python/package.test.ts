import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { whyNoPython } from "#test/support/python-client.ts";
import { packagePython, pythonEnv } from "#test/support/python-package.ts";

const folder = join(projectFolder, "clients/python");
const noPython = await whyNoPython();

describe("the Python package", { skip: noPython ?? false }, () => {
  test("keeps what its unit tests promise", async () => {
    assert.match(await python("-m", "unittest", "discover", "tests"), /OK/);
  });

  test("is typed: mypy --strict finds nothing", async () => {
    await python("-m", "mypy", "--cache-dir", join(tmpdir(), "mypy"));
  });

  test("has the generated code that the protos give", async () => {
    const made = await mkdtemp(join(tmpdir(), "fleetlog-generated-"));
    const protos = ["fleetlog/v1/ingest.proto", "fleetlog/v1/log.proto"];
    const source = join(projectFolder, "proto");
    try {
      await python(
        "-m",
        "grpc_tools.protoc",
        `-I${source}`,
        `--python_out=${made}`,
        `--pyi_out=${made}`,
        ...protos,
      );
      for (const file of ["ingest_pb2.py", "ingest_pb2.pyi", "log_pb2.py", "log_pb2.pyi"]) {
        const [now, committed] = [join(made, "fleetlog/v1", file), join(folder, "src/fleetlog/v1", file)];
        if (process.env["FLEETLOG_UPDATE"]) await cp(now, committed);
        assert.equal(await readFile(committed, "utf8"), await readFile(now, "utf8"), file);
      }
    } finally {
      await rm(made, { recursive: true });
    }
  });

  test("is installed by pip from a clone, with its types", async () => {
    const target = await mkdtemp(join(tmpdir(), "fleetlog-installed-"));
    try {
      const offline = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"];
      await python("-m", "pip", "install", ...offline, "--target", target, folder);
      const { stdout } = await execa(
        await packagePython(),
        ["-c", "import fleetlog; print(fleetlog.__file__, fleetlog.Handler('d').name)"],
        { env: { PYTHONPATH: target }, cwd: target },
      );
      assert.ok(stdout.startsWith(join(target, "fleetlog/__init__.py")), stdout);
      await readFile(join(target, "fleetlog/py.typed"));
    } finally {
      await rm(target, { recursive: true });
    }
  });

  test("has an example of at most 40 lines", async () => {
    const lines = (await readFile(join(folder, "example.py"), "utf8")).trimEnd().split("\n");
    assert.ok(lines.length <= 40, `${lines.length} lines`);
  });
});

/** Runs Python in the package's folder; returns its output. */
async function python(...args: readonly string[]): Promise<string> {
  const result = await execa(await packagePython(), args, {
    cwd: folder,
    env: pythonEnv,
    all: true,
    reject: false,
    timeout: 170_000,
  });
  assert.equal(result.exitCode, 0, result.all);
  return result.all;
}
