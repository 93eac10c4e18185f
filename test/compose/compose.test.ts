import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { parse } from "yaml";
import { readConfig as readConsumerConfig } from "#consumer/config.ts";
import { projectFolder } from "#dev/folders.ts";
import { readConfig as readDoctorConfig } from "#doctor/config.ts";
import { readConfig as readGatewayConfig } from "#gateway/config.ts";
import type { Env } from "#lib/config.ts";
import { readConfig as readNginxConfig } from "#nginx/config.ts";
import { readConfig as readMigrateConfig } from "#postgres/config.ts";
import { readConfig as readServerConfig } from "#server/config.ts";

interface Service {
  readonly image: string;
  readonly command: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly healthcheck: { readonly disable?: boolean; readonly test?: readonly string[] };
  readonly user?: string;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly networks: readonly string[];
  readonly read_only: boolean;
  readonly init: boolean;
  readonly cap_drop: readonly string[];
  readonly restart: string;
  readonly stop_grace_period?: string;
  readonly deploy: { readonly resources: { readonly limits: { readonly memory: string } } };
  readonly build?: { readonly args: Readonly<Record<string, string>> };
}

// deploy/ is no folder of the code: nothing there is imported by name.
const { readBenchConfig } = (await import(join(projectFolder, "deploy/compose/bench.ts"))) as {
  readBenchConfig: (env: Env) => unknown;
};
const read = (file: string) => readFileSync(join(projectFolder, file), "utf8");
const composeText = read("docker-compose.yml");
const compose = parse(composeText, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>;
};
const services = Object.entries(compose.services);
/** What people look at beside the product. */
const pages = ["prometheus", "grafana"];
const service = (name: string): Service => compose.services[name] ?? assert.fail(`no service ${name}`);

/** Every program with what it reads, and what it must be given. */
const programs: Readonly<Record<string, { readConfig: (env: Env) => unknown; required: Env }>> = {
  server: { readConfig: readServerConfig, required: {} },
  consumer: {
    readConfig: readConsumerConfig,
    required: { DATABASE_URL: "postgres://host/name", REDIS_URL: "redis://host" },
  },
  gateway: { readConfig: readGatewayConfig, required: { DATABASE_URL: "postgres://host/name" } },
  doctor: {
    readConfig: readDoctorConfig,
    required: { DATABASE_URL: "postgres://host/name", REDIS_URL: "redis://host" },
  },
  migrate: { readConfig: readMigrateConfig, required: { DATABASE_URL: "postgres://host/name" } },
  "nginx-config": { readConfig: readNginxConfig, required: { NGINX_VERSION: "1.30" } },
  bench: { readConfig: readBenchConfig, required: {} },
};

/** Not to be set: names that must differ between replicas, and addresses that the compose file's own names fix. */
const fixed: Readonly<Record<string, readonly string[]>> = {
  consumer: ["CONSUMER_NAME"],
  "nginx-config": [
    "NGINX_CONFIG_FILE",
    "NGINX_FOLDER",
    "NGINX_RESOLVER",
    "HTTP_LISTEN",
    "GRPC_LISTEN",
    "TLS_LISTEN",
    "OTLP_GRPC_LISTEN",
    "OTLP_HTTP_LISTEN",
    "SERVER_GRPC",
    "SERVER_HTTP",
    "GATEWAY_HTTP",
  ],
};

/** What Compose has another default for than the program, because the network is another. */
const adapted = new Set(["TRUSTED_PROXIES"]);

/** `${NAME:-default}` in the compose file. */
const interpolated = new Map(
  composeText
    .split("\n")
    .filter((line) => !line.startsWith("#"))
    .flatMap((line) => [...line.matchAll(/\$\{([A-Z_]+):-([^}]*)\}/g)])
    .map(([, name, value]) => [name ?? "", value ?? ""]),
);
const documented = new Map(
  [...read(".env.example").matchAll(/^# ([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [
    name ?? "",
    value ?? "",
  ]),
);

describe(".env.example", () => {
  test("names every variable of the compose file, once, and no other", () => {
    const named = [...interpolated.keys(), "COMPOSE_PROFILES"]; // that one is Compose's own
    assert.deepEqual([...documented.keys()].toSorted(), named.toSorted());
    const lines = read(".env.example").match(/^# [A-Z_]+=/gm) ?? [];
    assert.equal(lines.length, documented.size);
  });

  test("shows the defaults of the compose file", () => {
    for (const [name, value] of interpolated) {
      if (value !== "") assert.equal(documented.get(name), value, name);
    }
  });

  test("shows the defaults of the programs, where the compose file leaves them to those", () => {
    for (const [name, { readConfig, required }] of Object.entries(programs)) {
      const shown = Object.fromEntries(
        variablesOf(name)
          .filter((variable) => !adapted.has(variable))
          .map((variable) => [variable, interpolated.get(variable) || documented.get(variable)]),
      );
      assert.deepEqual(readConfig({ ...shown, ...required }), readConfig(required), name);
    }
  });

  test("sets no variable", () => {
    assert.doesNotMatch(read(".env.example"), /^[^#\n]/m);
  });
});

describe("docker-compose.yml", () => {
  test("passes every program the variables that it reads, and no others", () => {
    for (const name of Object.keys(programs)) {
      const given = Object.keys(service(name).environment ?? {});
      const wanted = variablesOf(name).filter((variable) => !fixed[name]?.includes(variable));
      assert.deepEqual(given.toSorted(), wanted.toSorted(), name);
    }
  });

  test("sets fixed variables in a form that the programs accept", () => {
    for (const [name, { readConfig }] of Object.entries(programs)) {
      const environment = Object.entries(service(name).environment ?? {});
      readConfig(Object.fromEntries(environment.map(([key, value]) => [key, withDefaults(value)])));
    }
  });

  test("passes Nginx the digest of its configuration, so that a change replaces it", () => {
    assert.deepEqual(service("nginx").environment, service("nginx-config").environment);
  });

  test("checks the health of every long-running service, and of no job", () => {
    for (const [name, { healthcheck, restart }] of services) {
      if (restart === "no") assert.equal(healthcheck.disable, true, name);
      else assert.ok(healthcheck.test, name);
    }
  });

  test("confines every container", () => {
    for (const [name, container] of services) {
      assert.equal(container.read_only, true, name);
      assert.equal(container.init, true, name);
      assert.deepEqual(container.cap_drop, ["ALL"], name);
      assert.match(container.deploy.resources.limits.memory, /[MG]\}?$/, name);
      // Ours has its user from the Dockerfile.
      if (!container.image.startsWith("${FLEETLOG_IMAGE"))
        assert.match(container.user ?? "", /^[1-9]\d*:[1-9]\d*$/, name);
    }
  });

  test("publishes Nginx, by default on loopback, and no other service has a way out", () => {
    const published = services.filter(([, { ports }]) => ports).map(([name]) => name);
    assert.deepEqual(published, ["nginx", ...pages]);
    for (const port of service("nginx").ports ?? [])
      assert.match(port, /^\$\{(TLS_)?BIND_ADDRESS:-127\.0\.0\.1\}:/);
    for (const [name, { networks }] of services) {
      if (!published.includes(name)) assert.deepEqual(networks, ["back"], name);
    }
    assert.equal(compose.networks.back?.internal, true);
  });

  test("shows the pages of the profile monitoring to this machine only, whatever is configured", () => {
    for (const name of pages) {
      assert.deepEqual(service(name).profiles, ["monitoring"]);
      assert.deepEqual(service(name).networks, ["monitoring", "back"]);
      for (const port of service(name).ports ?? []) assert.match(port, /^127\.0\.0\.1:/);
    }
  });

  test("pins every image that it does not build", () => {
    for (const [name, { image }] of services) {
      if (!image.startsWith("${FLEETLOG_IMAGE")) assert.match(withDefaults(image), /:v?\d[\w.-]*$/, name);
    }
  });

  test("provisions Grafana with dashboards, and the variables of its data sources", () => {
    const folder = "deploy/grafana/provisioning";
    const { volumes = [], environment = {} } = service("grafana");
    const { providers } = parse(read(`${folder}/dashboards/fleetlog.yml`)) as {
      providers: readonly { options: { path: string } }[];
    };
    const mounted = new Set(volumes.map((volume) => volume.split(":")[1]));
    for (const { options } of providers) assert.ok(mounted.has(options.path), options.path);
    const named = read(`${folder}/datasources/fleetlog.yml`).match(/\$[A-Z_]+/g) ?? [];
    assert.ok(named.length > 0);
    for (const name of named) assert.ok(environment[name.slice(1)], name);
  });

  test("lets Prometheus find the metrics of every program", () => {
    const { scrape_configs: jobs } = parse(read("deploy/prometheus/prometheus.yml")) as {
      scrape_configs: readonly { dns_sd_configs?: readonly { names: readonly string[]; port: number }[] }[];
    };
    const found = jobs.flatMap(({ dns_sd_configs: all = [] }) =>
      all.map(({ names, port }) => `${names[0]}:${port}`),
    );
    assert.deepEqual(found.toSorted(), service("doctor").environment?.DOCTOR_READY?.split(",").toSorted());
    for (const name of ["server", "consumer", "gateway"]) {
      const { ADMIN_LISTEN: admin, HTTP_LISTEN: http } = service(name).environment ?? {};
      assert.ok(found.includes(`${name}:${(admin ?? http)?.split(":")[1]}`), name);
    }
  });

  test("builds the image once, for all programs", () => {
    assert.deepEqual(
      services.filter(([, { build }]) => build).map(([name]) => name),
      ["migrate"],
    );
  });

  test("gives Redis the settings without which no server is ready", () => {
    const text = service("redis").command.join(" ");
    for (const setting of [
      "--appendonly yes",
      "--appendfsync always",
      "--no-appendfsync-on-rewrite no",
      "--save  --",
      "--maxmemory-policy volatile-lru",
    ]) {
      assert.ok(text.includes(setting), setting);
    }
  });
});

describe("Dockerfile", () => {
  test("has the base images of the compose file", () => {
    for (const [name, value] of Object.entries(service("migrate").build?.args ?? {})) {
      assert.match(read("Dockerfile"), new RegExp(`^ARG ${name}=${withDefaults(value)}$`, "m"));
    }
  });

  test("has the tested version of Node", () => {
    const { devDependencies } = JSON.parse(read("package.json")) as { devDependencies: { node: string } };
    assert.ok(interpolated.get("NODE_IMAGE")?.startsWith(`node:${devDependencies.node}-`));
  });

  test("copies every folder that a program imports from", () => {
    const allowed = new Set(
      [...read(".dockerignore").matchAll(/^!([a-z]+)\//gm)].map(([, folder]) => folder),
    );
    for (const folder of [
      "batch",
      "client",
      "consumer",
      "doctor",
      "gateway",
      "lib",
      "nginx",
      "postgres",
      "proto",
      "rpc",
      "search",
      "server",
      "stream",
    ]) {
      assert.ok(allowed.has(folder), folder);
    }
  });
});

/** The variables a program asks its environment for. */
function variablesOf(name: string): string[] {
  const { readConfig, required } = programs[name] ?? assert.fail(name);
  const asked = new Set<string>();
  readConfig(
    new Proxy(required, {
      get: (env, key: string) => {
        asked.add(key);
        return env[key];
      },
    }),
  );
  return [...asked];
}

function withDefaults(value: string): string {
  return value.replaceAll(/\$\{[A-Z_]+:-([^}]*)\}/g, "$1");
}
