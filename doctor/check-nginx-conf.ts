import { type Finding, fail, ok, warn } from "./finding.ts";
import { type Directive, findAll, inherited, parseNginxConf } from "./nginx-conf.ts";

/** Debian's of 2023, the oldest that everything is tried with. */
export function checkNginxVersion(version: string): Finding {
  const [major = 0, minor = 0] = version.split(".").map((part) => Number.parseInt(part, 10));
  if (major > 1 || (major === 1 && minor >= 22)) return ok("nginx.version", version);
  return fail("nginx.version", version, "Use Nginx 1.22 or later.");
}

/** Servers send a heartbeat every 30 s; a device may be silent much longer. */
const idleSecondsMin = 60;

/**
 * Whether an nginx.conf, ours or another, suits the streams of devices. Throws when it cannot be read as one.
 */
export function checkNginxConf(text: string): Finding[] {
  const directives = parseNginxConf(text);
  const streams = findAll(directives, "location").flatMap(({ directive, around }) => {
    const path = directive.args.at(-1) ?? "";
    const hasOwn = around
      .at(-1)
      ?.within.some(({ name, args }) => name === "location" && args.at(-1) === streamPath);
    const isStream = path === streamPath || (path === ingestPath && !hasOwn);
    return isStream ? [{ location: directive, blocks: [...around, directive] }] : [];
  });
  if (streams.length === 0) {
    const fix = "This Nginx is not configured for Fleetlog: render nginx/nginx.conf.template.";
    return [fail("nginx.streams", `no location ${ingestPath}`, fix)];
  }
  const problems = [
    ...streams.flatMap(({ location, blocks }) => streamProblems(location, blocks)),
    ...repeatProblems(directives),
  ];
  if (problems.length === 0) problems.push(ok("nginx.streams", "may be long, idle and of any size"));
  return [...problems, keepaliveFinding(directives)];
}

const ingestPath = "/fleetlog.v1.IngestService/";
const streamPath = `${ingestPath}StreamLogs`;

function streamProblems(location: Directive, blocks: readonly Directive[]): Finding[] {
  const value = (name: string) => inherited(blocks, name)?.[0];
  const passes = new Set(findAll([location], "grpc_pass").length > 0 ? ["grpc"] : []);
  if (location.within.some(({ name }) => name === "proxy_pass")) passes.add("proxy");
  const problems: Finding[] = [];
  const expect = (isRight: boolean, name: string, wanted: string, consequence: string) => {
    if (isRight) return;
    const found = `${name} is ${value(name) ?? "not set"} in location ${location.args.join(" ")}`;
    problems.push(fail(`nginx.${name}`, found, `Set it to ${wanted}: ${consequence}.`));
  };
  expect(
    value("client_max_body_size") === "0",
    "client_max_body_size",
    "0",
    "it limits the total size of a stream and ends the stream at the limit",
  );
  const timeouts = [...passes].flatMap((pass) => [`${pass}_read_timeout`, `${pass}_send_timeout`]);
  for (const name of ["client_body_timeout", ...timeouts]) {
    const isLong = toSeconds(value(name) ?? "60s") > idleSecondsMin;
    expect(isLong, name, "3600s", "idle streams are closed");
  }
  for (const name of passes.has("proxy") ? ["proxy_request_buffering", "proxy_buffering"] : []) {
    expect(value(name) === "off", name, "off", "Nginx delays batches or acknowledgements");
  }
  return problems;
}

function repeatProblems(directives: readonly Directive[]): Finding[] {
  return ["grpc_next_upstream", "proxy_next_upstream"].flatMap((name) =>
    findAll(directives, name)
      .filter(({ directive }) => directive.args.includes("non_idempotent"))
      .map(() =>
        warn(`nginx.${name}`, "non_idempotent", "Remove it: devices retry what was not acknowledged."),
      ),
  );
}

function keepaliveFinding(directives: readonly Directive[]): Finding {
  const http = directives.find(({ name }) => name === "http");
  const requests = Number(inherited(http ? [http] : [], "keepalive_requests")?.[0] ?? 1_000);
  const check = "nginx.keepalive_requests";
  if (requests >= 10_000) return ok(check, String(requests));
  return warn(
    check,
    String(requests),
    "Set it to 1000000: Nginx closes a connection after this many calls, which disconnects busy devices.",
  );
}

function toSeconds(value: string): number {
  const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, "": 1, m: 60, h: 3_600, d: 86_400 };
  const [, number = "", unit = ""] = /^(\d+)(ms|[smhd]?)$/.exec(value) ?? [];
  return Number(number) * (units[unit] ?? 1);
}
