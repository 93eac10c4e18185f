import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { whyNoGo } from "#test/support/go-client.ts";
import { go, goModule } from "#test/support/go-package.ts";

// The module as a Go programmer sees it.

const noGo = await whyNoGo();
/** The first run compiles grpc-go with the race detector, which takes minutes. */
const timeout = 900_000;

describe("the Go module", { skip: noGo ?? false, timeout }, () => {
  test("passes gofmt and go vet", async () => {
    assert.equal((await go()`gofmt -l .`).stdout, "");
    await go()`go vet ./...`;
    await go(join(projectFolder, "test/clients/go-device"))`go vet ./...`;
  });

  test("passes its own tests, with the race detector where there is a C compiler", async () => {
    const { stdout: cgo } = await go()`go env CGO_ENABLED`;
    const race = cgo === "1" ? ["-race"] : [];
    await go()`go test ${race} ./...`;
  });

  test("has code that is current with the protos (FLEETLOG_UPDATE=1 updates it)", async () => {
    const work = await mkdtemp(join(tmpdir(), "fleetlog-go-"));
    try {
      await go()`go build -o ${work}/ tool`;
      const isUpdate = process.env["FLEETLOG_UPDATE"] === "1";
      const out = isUpdate ? goModule : work;
      const plugins = ["protoc-gen-go", "protoc-gen-go-grpc"].map((name) => ({
        local: join(work, name),
        out: ".",
        opt: ["module=fleetlog/clients/go"],
      }));
      // A device needs no queries.
      const paths = ["log", "ingest"].flatMap((name) => ["--path", `proto/fleetlog/v1/${name}.proto`]);
      const template = JSON.stringify({ version: "v2", plugins });
      await execa(
        join(projectFolder, "node_modules/.bin/buf"),
        ["generate", "--template", template, "-o", out, ...paths],
        { cwd: projectFolder },
      );
      assert.deepEqual(
        await contents(join(goModule, "fleetlogv1")),
        await contents(join(out, "fleetlogv1")),
        "run FLEETLOG_UPDATE=1 npm test -- clients/go/package.test.ts",
      );
    } finally {
      await rm(work, { recursive: true, force: true });
    }
  });

  test("has an example of at most 40 lines", async () => {
    const lines = (await readFile(join(goModule, "example/main.go"), "utf8")).split("\n").length - 1;
    assert.ok(lines <= 40, `${lines} lines`);
  });
});

async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).filter((name) => name.endsWith(".go"));
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), "utf8")] as const)),
  );
}
