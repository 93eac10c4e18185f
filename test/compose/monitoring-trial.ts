import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import { alerts, queries } from "#test/deploy/monitoring-files.ts";
import { waitFor } from "#test/support/wait-for.ts";
import type { Trial } from "./trial.ts";

interface Target {
  readonly labels: { readonly job: string };
  readonly health: string;
  readonly lastError: string;
}

interface Rule {
  readonly name: string;
  readonly health: string;
  readonly state: string;
  readonly lastError?: string;
}

/** Starts what the profile `monitoring` has besides Grafana, and looks whether Prometheus sees and asks everything. */
export async function tryMonitoring(trial: Trial, t: TestContext): Promise<void> {
  const url = `http://127.0.0.1:${trial.ports.prometheus}`;
  const ask = async <Data>(path: string): Promise<Data> => {
    const response = await fetch(`${url}/api/v1/${path}`);
    const answer = (await response.json()) as { status: string; data: Data; error?: string };
    assert.equal(answer.status, "success", `${path}: ${answer.error}`);
    return answer.data;
  };
  const monitoring = (...args: readonly string[]) => trial.compose("--profile", "monitoring", ...args);
  await monitoring("up", "--detach", "--wait", "prometheus", "node-exporter");

  const wanted = ["consumer", "gateway", "node", "prometheus", "server", "server"];
  let seen: readonly Target[] = [];
  await waitFor(
    "every target to be up",
    async () => {
      seen = (await ask<{ activeTargets: Target[] }>("targets?state=active")).activeTargets;
      return seen.length === wanted.length && seen.every(({ health }) => health === "up");
    },
    60_000,
  ).catch((error: unknown) => assert.fail(`${String(error)}: ${JSON.stringify(seen)}`));
  assert.deepEqual(seen.map(({ labels }) => labels.job).toSorted(), wanted);

  const rules = await waitFor(
    "every rule to be evaluated",
    async () => {
      const { groups } = await ask<{ groups: readonly { rules: readonly Rule[] }[] }>("rules?type=alert");
      const all = groups.flatMap(({ rules }) => rules);
      return all.every(({ health }) => health !== "unknown") ? all : undefined;
    },
    60_000,
  );
  assert.deepEqual(rules.map(({ name }) => name).toSorted(), alerts.map(({ alert }) => alert).toSorted());
  for (const { name, health, state, lastError } of rules) {
    assert.equal(health, "ok", `${name}: ${lastError}`);
    assert.notEqual(state, "firing", name);
  }

  const expressions = queries.flatMap(({ expr }) => (expr === undefined ? [] : [expr]));
  let withData = 0;
  for (const expression of expressions) {
    const query = new URLSearchParams({ query: expression.replaceAll("$__rate_interval", "1m") });
    const { result } = await ask<{ result: readonly unknown[] }>(`query?${query.toString()}`);
    if (result.length > 0) withData += 1;
  }
  t.diagnostic(
    `${seen.length} targets, ${rules.length} alerts; of ${expressions.length} queries ${withData} show something`,
  );

  // For Grafana, and twice: each start does it again.
  for (const _ of [1, 2]) await monitoring("run", "--rm", "reader-role");
  const rights =
    "SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'fleetlog%' AND NOT rolsuper";
  assert.equal(await trial.sql(rights), "fleetlog_gateway fleetlog_reader");
}
