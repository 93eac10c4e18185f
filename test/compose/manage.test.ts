import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { projectFolder } from "#dev/folders.ts";

const script = join(projectFolder, "manage.sh");
const commands =
  "start stop restart status health doctor logs scale migrate backup restore psql redis send-test bench clean".split(
    " ",
  );
const folder = mkdtempSync(join(tmpdir(), "fleetlog-manage-"));
after(() => rmSync(folder, { recursive: true }));

// What the script needs of a system, without Docker.
for (const tool of ["sh", "cat", "dirname", "readlink"]) {
  symlinkSync(
    spawnSync("sh", ["-c", `command -v ${tool}`], { encoding: "utf8" }).stdout.trim(),
    join(folder, tool),
  );
}

describe("manage.sh", () => {
  test("prints help from any folder, before or after a command, without Docker", () => {
    for (const args of [["--help"], ["help"], ["start", "--help"]]) {
      const { status, stdout } = manage(args);
      assert.equal(status, 0);
      for (const command of commands) {
        assert.match(stdout, new RegExp(`^  ${command}\\b`, "m"));
      }
    }
  });

  test("runs through a symbolic link", () => {
    symlinkSync(script, join(folder, "fleetlog-manage"));
    assert.equal(spawnSync(join(folder, "fleetlog-manage"), ["--help"], { encoding: "utf8" }).status, 0);
  });

  test("refuses unknown commands with the help", () => {
    for (const args of [["begin"], []]) {
      const { status, stderr } = manage(args);
      assert.equal(status, 2);
      assert.match(stderr, /usage: manage\.sh/);
    }
  });

  test("says what to install when Docker, or its command compose, is missing", () => {
    assert.match(manage(["start"]).stderr, /docker is not installed/);
    writeFileSync(join(folder, "docker"), "#!/bin/sh\nexit 1\n", { mode: 0o755 });
    const { status, stderr } = manage(["status"]);
    assert.equal(status, 1);
    assert.match(stderr, /no "compose" command/);
  });

  test("removes nothing without two confirmations", () => {
    writeFileSync(join(folder, "docker"), '#!/bin/sh\ncase "$*" in *down*) echo removed ;; esac\n', {
      mode: 0o755,
    });
    const { status, stdout, stderr } = manage(["clean"]);
    assert.equal(status, 1);
    assert.match(stderr, /ALL DATA.*--yes/);
    assert.doesNotMatch(stdout, /removed/);
    assert.match(manage(["clean", "--yes"]).stdout, /removed/);
  });

  test("scales only scalable services", () => {
    for (const expected of ["redis=2", "server=0", "server=many", "server"]) {
      assert.match(manage(["scale", expected]).stderr, /expected server=N/, expected);
    }
  });

  test("is plain POSIX shell without traps", (t) => {
    const scripts = [script, join(projectFolder, "test/compose/stand-ins.sh")];
    const done = spawnSync("shellcheck", ["--shell=sh", ...scripts], { encoding: "utf8" });
    if (done.error) t.skip("shellcheck is not installed");
    else assert.equal(`${done.stdout}${done.stderr}`, "");
  });
});

function manage(args: readonly string[]) {
  return spawnSync("sh", [script, ...args], { cwd: "/", encoding: "utf8", env: { PATH: folder }, input: "" });
}
