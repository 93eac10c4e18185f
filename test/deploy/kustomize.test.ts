import assert from "node:assert/strict";
import { dirname } from "node:path";
import { describe, test } from "node:test";
import { readConfig as readConsumerConfig } from "#consumer/config.ts";
import { readConfig as readGatewayConfig } from "#gateway/config.ts";
import type { Env } from "#lib/config.ts";
import { readConfig as readNginxConfig } from "#nginx/config.ts";
import { renderNginx } from "#nginx/render.ts";
import { readConfig as readMigrateConfig } from "#postgres/config.ts";
import { readConfig as readServerConfig } from "#server/config.ts";
import { typeErrors } from "./manifest-types.ts";
import {
  build,
  buildWith,
  type Container,
  canBuild,
  type Manifest,
  type PodSpec,
  written,
} from "./manifests.ts";

// The manifests as written are always tested; as kustomize puts them together, where it or kubectl is on the PATH. The
// types are those of Kubernetes 1.30 (package kubernetes-types). By hand, the same against the JSON schemas of other
// versions: kustomize build … | kubernetes-validate --strict -k 1.34 /dev/stdin (PyPI, kubernetes-validate).

const skip = canBuild ? false : "neither kustomize nor kubectl is there";
const base = written("base");
const overlays = canBuild
  ? ["base", "overlays/dev", "overlays/production"].map((name) => ({ name, manifests: build(name) }))
  : [];
const sets = [{ name: "base as written", manifests: base }, ...overlays];

const readConfigs: Readonly<Record<string, (env: Env) => unknown>> = {
  "server/main.ts": readServerConfig,
  "consumer/main.ts": readConsumerConfig,
  "gateway/main.ts": readGatewayConfig,
  "postgres/main.ts": readMigrateConfig,
  "nginx/main.ts": readNginxConfig,
};

const secret: Readonly<Record<string, string>> = {
  REDIS_URL: "redis://redis:6379",
  SERVER_REDIS_URL: "redis://server:password@redis:6379",
  CONSUMER_REDIS_URL: "redis://consumer:password@redis:6379",
  GATEWAY_REDIS_URL: "redis://gateway:password@redis:6379",
  DATABASE_URL: "postgres://host/name",
  GATEWAY_DATABASE_URL: "postgres://reader:password@host/name",
  DATABASE_READ_URL: "postgres://replica/name",
};

describe("the manifests", () => {
  test("have only fields that Kubernetes defines, with values of their types", () => {
    assert.deepEqual(typeErrors(base), []);
    assert.deepEqual(
      typeErrors(written("components/consumer-by-backlog").filter(({ kind }) => kind !== "Component")),
      [],
    );
  });

  test("fail the check for a misspelt nested field", () => {
    const server = base.find(({ kind, metadata }) => kind === "Deployment" && metadata.name === "server");
    const text = JSON.stringify(server)
      .replace("initialDelaySeconds", "x")
      .replace("periodSeconds", "period");
    assert.match(
      typeErrors([JSON.parse(text) as Manifest])[0] ?? "",
      /^Deployment server: .*'"period"' does not exist/,
    );
  });

  test("are valid after kustomize, too", { skip }, () => {
    for (const { name, manifests } of overlays) assert.deepEqual(typeErrors(manifests), [], name);
  });

  test("pass every program only variables that it reads, in a form it accepts", () => {
    for (const { name, manifests } of sets) {
      const shared = manifests.find(({ kind }) => kind === "ConfigMap")?.data ?? {};
      for (const { container } of findContainers(manifests)) {
        const readConfig = readConfigs[container.args?.[0] ?? ""];
        if (!readConfig) continue;
        const own = ownEnv(container);
        const { asked } = ask(readConfig, { ...(container.envFrom && shared), ...own });
        const unknown = Object.keys(own).filter(
          (variable) => variable !== "NAMESPACE" && !asked.has(variable),
        );
        assert.deepEqual(unknown, [], `${name}: ${container.name}`);
      }
      const programs = Object.values(readConfigs).map((readConfig) => {
        const { asked } = ask(readConfig, { ...secret, NGINX_VERSION: "1.30" });
        return asked;
      });
      const unknown = Object.keys(shared).filter(
        (variable) => !programs.some((asked) => asked.has(variable)),
      );
      assert.deepEqual(unknown, [], `${name}: the ConfigMap`);
    }
  });

  test("give Nginx the version of its image, so that its configuration fits", { skip }, () => {
    for (const { name, manifests } of overlays) {
      const all = findContainers(manifests).map(({ container }) => container);
      const image = all.find(({ name }) => name === "nginx");
      const config = all.find(({ name }) => name === "nginx-config");
      const { NGINX_VERSION: version, ...env } = ownEnv(config ?? assert.fail(name));
      assert.equal(image?.image, `nginx:${version}`);
      const { settings } = readNginxConfig({ ...env, NGINX_VERSION: version });
      assert.match(renderNginx(settings), /server server\.fleetlog\.svc\.cluster\.local:50061 .*resolve;/);
    }
  });

  test("of production admit no plaintext, and mount the files that Nginx is configured with", {
    skip,
  }, () => {
    const { manifests } = overlays.find(({ name }) => name === "overlays/production") ?? assert.fail();
    const service = manifests.find(({ kind, metadata }) => kind === "Service" && metadata.name === "nginx");
    assert.deepEqual(
      service?.spec?.ports?.map(({ port }) => port),
      [8443],
    );
    const policy = manifests.find(
      ({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === "nginx",
    );
    assert.deepEqual(policy?.spec?.ingress, [{ ports: [{ port: 8443 }] }]);
    const all = findContainers(manifests).map(({ container }) => container);
    const env = ownEnv(all.find(({ name }) => name === "nginx-config") ?? assert.fail());
    const { tls } = readNginxConfig(env).settings;
    const mounts = all.find(({ name }) => name === "nginx")?.volumeMounts?.map(({ mountPath }) => mountPath);
    for (const file of [tls?.certificateFile, tls?.keyFile, tls?.clientCaFile])
      assert.ok(mounts?.includes(dirname(file ?? "")), file);
  });

  test("of production serve only ingest from outside, until reading is opened", { skip }, () => {
    const { manifests } = overlays.find(({ name }) => name === "overlays/production") ?? assert.fail();
    const shared = manifests.find(({ kind }) => kind === "ConfigMap")?.data ?? {};
    const config = findContainers(manifests).find(({ container }) => container.name === "nginx-config");
    const { settings } = readNginxConfig({ ...shared, ...ownEnv(config?.container ?? assert.fail()) });
    assert.equal(settings.tls?.serves, "ingest");
    assert.match(renderNginx(settings), /if \(\$is_closed\) \{\s+return 403;/);
    assert.deepEqual(settings.allowedHosts, ["logs.example.org"]);
    const open = manifests.filter(({ kind, spec }) => kind === "Service" && spec?.type === "LoadBalancer");
    assert.deepEqual(
      open.flatMap(({ metadata, spec }) => spec?.ports?.map(({ port }) => `${metadata.name}:${port}`)),
      ["nginx:8443"],
    );
  });

  test("of production with read-with-certificate serve everything, and nothing without a certificate", {
    skip,
  }, () => {
    const manifests = buildWith("components/read-with-certificate", "overlays/production");
    assert.deepEqual(typeErrors(manifests), []);
    const config = findContainers(manifests).find(({ container }) => container.name === "nginx-config");
    const { settings } = readNginxConfig(ownEnv(config?.container ?? assert.fail()));
    assert.deepEqual(
      { ...settings.tls, listen: undefined },
      {
        listen: undefined,
        serves: "everything",
        certificateFile: "/tls/tls.crt",
        keyFile: "/tls/tls.key",
        clientCaFile: "/devices-ca/ca.crt",
        certificatesFor: "everything",
      },
    );
    const rendered = renderNginx(settings);
    assert.match(rendered, /ssl_verify_client on;/);
    assert.doesNotMatch(rendered, /\$is_closed/);
    const { manifests: without } =
      overlays.find(({ name }) => name === "overlays/production") ?? assert.fail();
    const [others, unchanged] = [manifests, without].map((all) =>
      all.filter(({ kind, metadata }) => `${kind} ${metadata.name}` !== "Deployment nginx"),
    );
    assert.deepEqual(others, unchanged);
  });

  test("admit plaintext to Nginx only from pods of the namespace", { skip }, () => {
    for (const name of ["base", "overlays/dev"]) {
      const { manifests } = overlays.find((one) => one.name === name) ?? assert.fail();
      const policy = manifests.find(
        ({ kind, metadata }) => kind === "NetworkPolicy" && metadata.name === "nginx",
      );
      assert.deepEqual(policy?.spec?.ingress, [
        {
          from: [{ podSelector: {} }],
          ports: [{ port: 8080 }, { port: 50051 }, { port: 4317 }, { port: 4318 }],
        },
      ]);
    }
  });

  test("match each other: selectors, targets and ports", () => {
    for (const { name, manifests } of sets) {
      const workloads = manifests.filter(({ spec }) => spec?.template);
      const named = new Set(workloads.map(({ kind, metadata }) => `${kind}/${metadata.name}`));
      for (const { kind, metadata, spec } of manifests) {
        const what = `${name}: ${kind} ${metadata.name}`;
        const target = spec?.scaleTargetRef;
        if (target) assert.ok(named.has(`${target.kind}/${target.name}`), what);
        const selector = spec?.selector?.matchLabels ?? (kind === "Service" ? spec?.selector : undefined);
        if (!selector) continue;
        const selected = workloads.filter(({ spec }) =>
          Object.entries(selector).every(([key, value]) => spec?.template?.metadata.labels[key] === value),
        );
        assert.equal(selected.length, 1, what);
        const ports = selected[0]?.spec?.template?.spec.containers.flatMap(
          (container) => container.ports ?? [],
        );
        for (const { targetPort } of kind === "Service" ? (spec?.ports ?? []) : []) {
          assert.ok(
            ports?.some((port) => port.name === targetPort),
            `${what}, port ${targetPort}`,
          );
        }
      }
    }
  });

  test("leave replica counts to the autoscaler where there is one", { skip }, () => {
    for (const { name, manifests } of overlays) {
      for (const { spec } of manifests) {
        if (!spec?.scaleTargetRef) continue;
        const { kind, name: target } = spec.scaleTargetRef;
        const scaled = manifests.find((one) => one.kind === kind && one.metadata.name === target);
        assert.equal(scaled?.spec?.replicas, undefined, `${name}: ${kind} ${target}`);
      }
    }
  });

  test("confine every container, limit its memory and not its CPU, and probe long-running ones", () => {
    for (const { name, manifests } of sets) {
      for (const { container, pod, kind, isInit } of findContainers(manifests)) {
        const what = `${name}: ${container.name}`;
        assert.equal(pod.securityContext.runAsNonRoot, true, what);
        assert.equal(pod.automountServiceAccountToken, false, what);
        assert.deepEqual(
          container.securityContext,
          {
            allowPrivilegeEscalation: false,
            readOnlyRootFilesystem: true,
            capabilities: { drop: ["ALL"] },
          },
          what,
        );
        assert.deepEqual(Object.keys(container.resources.limits), ["memory"], what);
        assert.deepEqual(Object.keys(container.resources.requests).toSorted(), ["cpu", "memory"], what);
        assert.equal(container.readinessProbe !== undefined, kind !== "Job" && !isInit, what);
      }
    }
  });

  test("give programs longer to stop than they need", () => {
    for (const { container, pod } of findContainers(base)) {
      if (!/^(server|gateway|consumer)$/.test(container.name)) continue;
      const waits = container.name === "consumer" ? 0 : 10;
      assert.ok((pod.terminationGracePeriodSeconds ?? 0) >= waits + 15, container.name);
    }
  });
});

function findContainers(
  manifests: readonly Manifest[],
): readonly { container: Container; pod: PodSpec; kind: string; isInit: boolean }[] {
  return manifests.flatMap(({ kind, spec }) => {
    const pod = spec?.template?.spec;
    if (!pod) return [];
    return [
      ...(pod.initContainers ?? []).map((container) => ({ container, pod, kind, isInit: true })),
      ...pod.containers.map((container) => ({ container, pod, kind, isInit: false })),
    ];
  });
}

/** The variables set on the container itself, with what Kubernetes puts in their place. */
function ownEnv({ env = [] }: Container): Record<string, string> {
  return Object.fromEntries(
    env.map(({ name, value, valueFrom }) => {
      const found =
        value ?? secret[valueFrom?.secretKeyRef?.key ?? ""] ?? (name === "LOG_LEVEL" ? "info" : name);
      return [name, found.replaceAll("$(NAMESPACE)", "fleetlog")];
    }),
  );
}

/** Which variables a program asks for; throws when it does not accept one. */
function ask(readConfig: (env: Env) => unknown, env: Env): { readonly asked: ReadonlySet<string> } {
  const asked = new Set<string>();
  readConfig(
    new Proxy(env, {
      get: (given, name: string) => {
        asked.add(name);
        return given[name];
      },
    }),
  );
  return { asked };
}
