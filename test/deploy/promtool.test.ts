import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { type Binary, findBinary, MissingBinaryError } from "#dev/binaries.ts";
import { projectFolder } from "#dev/folders.ts";
import { alerts, prometheusFolder } from "./monitoring-files.ts";

// promtool comes with Prometheus. Where it can neither be found nor fetched, the rest is tested.
const promtool = await findBinary("prometheus").catch((error: unknown) => {
  if (error instanceof MissingBinaryError) return error;
  throw error;
});
const skip = promtool instanceof MissingBinaryError && `NOT RUN: ${promtool.message}`;

describe("the alerts", () => {
  test("fire when they should, and only then", { skip }, () => {
    run("test", "rules", "alerts.test.yml");
  });

  test("and the configuration are valid for Prometheus", { skip }, () => {
    run("check", "rules", "alerts.yml");
    run("check", "config", "--syntax-only", "prometheus.yml");
  });

  test("each have a case in which they fire", () => {
    const cases = readFileSync(join(prometheusFolder, "alerts.test.yml"), "utf8");
    for (const { alert } of alerts) {
      assert.match(
        cases,
        new RegExp(`alertname: ${alert}\\n\\s+eval_time: \\w+\\n\\s+exp_alerts:\\n`),
        alert,
      );
    }
  });

  test("state their severity, and each have a section in docs/operations/runbooks.md, which has no others", () => {
    const guide = readFileSync(join(projectFolder, "docs/operations/runbooks.md"), "utf8");
    for (const { alert, labels, annotations } of alerts) {
      assert.match(labels.severity ?? "", /^(critical|warning)$/, alert);
      assert.ok(annotations.summary && annotations.description, alert);
      assert.equal(annotations.runbook, `docs/operations/runbooks.md#${alert.toLowerCase()}`);
    }
    const sections = [...guide.matchAll(/^## (Fleetlog\w+)$/gm)].map(([, alert = ""]) => alert);
    assert.deepEqual(sections.sort(), alerts.map(({ alert }) => alert).sort());
  });
});

function run(...args: readonly string[]): void {
  const { command, env } = promtool as Binary;
  const { status, stdout, stderr } = spawnSync(command, args, {
    cwd: prometheusFolder,
    encoding: "utf8",
    env: { ...process.env, ...env },
  });
  assert.equal(status, 0, `promtool ${args.join(" ")}: ${stdout}${stderr}`);
}
