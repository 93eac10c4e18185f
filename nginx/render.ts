import { readFileSync } from "node:fs";
import { errorPages } from "./error-pages.ts";

export interface NginxSettings {
  /** For the pid file and temporary files; must exist. */
  readonly folder: string;
  /** host:port of the HTTP/1.1 listener, from Nginx 1.25.1 on also of HTTP/2. */
  readonly httpListen: string;
  /** host:port of the HTTP/2 listener, for gRPC. */
  readonly grpcListen: string;
  /** A third listener, with TLS; none by default. */
  readonly tls?: TlsSettings;
  /** Listeners that serve OTLP only, on the ports where its senders look for it; none by default. */
  readonly otlp?: OtlpListeners;
  /**
   * The DNS servers that Nginx queries at runtime, with the options of its directive `resolver`. The
   * addresses below are then names whose every address is a peer, and Nginx follows peers that join or
   * leave without a reload; Nginx ≥ 1.27.3. Without it, Nginx resolves names once, when it starts.
   */
  readonly resolver?: string;
  /** The ingest servers, each with the host:port of its two listeners. */
  readonly servers: readonly { readonly grpc: string; readonly http: string }[];
  /** host:port of the gateways. */
  readonly gateways: readonly string[];
  /** Nginx ≥ 1.25.1 uses `http2 on;`, earlier versions `listen … http2`. */
  readonly version: Version;
  /** The user of the workers when Nginx is started as root. */
  readonly user?: string;
  /**
   * How long an unreachable upstream is skipped. 0, the default, is for upstreams on this machine: a
   * failed attempt costs no time, and skipping would turn rolling restarts of two into an outage. On
   * other machines, where a lost host costs every call the connect timeout, use a few seconds.
   */
  readonly leaveOutSeconds?: number;
  /** Host names besides localhost and IP addresses that clients may use; "*.example.org", and "*" for any. */
  readonly allowedHosts?: readonly string[];
  /** How long a stream may be silent; default 1 h, because Nginx's own 60 s is too short for devices. */
  readonly streamIdleSeconds?: number;
  /** How long streams may go on after a reload or a graceful stop; 10 s by default. */
  readonly shutdownSeconds?: number;
  readonly workerProcesses?: number | "auto";
  readonly workerConnections?: number;
  /** Streams and calls that one address may have open; 10,000 by default, since a site's devices share one. */
  readonly connectionsPerAddressMax?: number;
  /** Calls that one address may begin in a second, and twice as many in the first; no limit by default. */
  readonly callsPerSecondMax?: number;
  /** One JSON object a line; off by default. */
  readonly accessLogFile?: string;
  /** The percentage of calls that are logged, besides all that fail; default 100. */
  readonly accessLogPercent?: number;
}

export interface OtlpListeners {
  /** host:port for OTLP/gRPC, usually of port 4317. */
  readonly grpcListen?: string | undefined;
  /** host:port for OTLP/HTTP, usually of port 4318. */
  readonly httpListen?: string | undefined;
}

export interface TlsSettings {
  /** host:port. */
  readonly listen: string;
  /** PEM files: the server's certificate with those between it and its CA, and its key. */
  readonly certificateFile: string;
  readonly keyFile: string;
  /** PEM file of the CAs that sign the clients' certificates; without it none is asked for. */
  readonly clientCaFile?: string;
  /** Which calls require a client certificate: ingest, the default, or also queries and the dashboard. */
  readonly certificatesFor?: CertificatesFor;
  /** All by default; for ingest also health and reflection. */
  readonly serves?: "ingest" | "everything";
}

type CertificatesFor = "ingest" | "everything";

/** The text of nginx.conf. Throws when the template and the settings do not fit each other. */
export function renderNginx(settings: NginxSettings): string {
  const { version, resolver, tls, otlp = {}, allowedHosts = [] } = settings;
  const hasHttp2Directive = isAtLeast(version, [1, 25, 1]);
  if (resolver && !isAtLeast(version, [1, 27, 3])) {
    throw new Error(`Nginx ${version.join(".")} cannot resolve names while it runs: use 1.27.3 or later`);
  }
  const values: Readonly<Record<string, string>> = {
    folder: settings.folder,
    httpListen: settings.httpListen,
    grpcListen: settings.grpcListen,
    otlpGrpcListen: otlp.grpcListen ?? "",
    otlpHttpListen: otlp.httpListen ?? "",
    otlpPorts: [otlp.grpcListen, otlp.httpListen].map(toPort).filter(Boolean).join("|"),
    http2Option: hasHttp2Directive ? "" : " http2",
    http2Line: hasHttp2Directive ? "http2 on;" : "",
    resolverLine: resolver ? `resolver ${resolver};` : "",
    userLine: settings.user ? `user ${settings.user};` : "",
    grpcServers: upstreamLines(
      settings.servers.map(({ grpc }) => grpc),
      settings,
    ),
    httpServers: upstreamLines(
      settings.servers.map(({ http }) => http),
      settings,
    ),
    gatewayServers: upstreamLines(settings.gateways, settings),
    streamIdleTimeout: `${settings.streamIdleSeconds ?? 3_600}s`,
    shutdownTimeout: `${settings.shutdownSeconds ?? 10}s`,
    workerProcesses: String(settings.workerProcesses ?? "auto"),
    workerConnections: String(settings.workerConnections ?? 16_384),
    connectionsPerAddressMax: String(settings.connectionsPerAddressMax ?? 10_000),
    callsPerSecondMax: String(settings.callsPerSecondMax ?? 0),
    errorPages: errorPages(),
    foreignHost: allowedHosts.includes("*") ? '""' : "yes",
    // Nginx does not start with a name that it has twice, and the template has localhost.
    allowedHosts: [...new Set(allowedHosts.map((host) => host.toLowerCase()))]
      .filter((host) => host !== "*" && host !== "localhost")
      .map((host) => `    "${host}" "";`)
      .join("\n"),
    accessLogFile: settings.accessLogFile ? quote(settings.accessLogFile) : "",
    // Nginx knows no share of 0 %.
    accessLogSample: settings.accessLogPercent === 0 ? "" : `${settings.accessLogPercent ?? 100}% 1;`,
    ...(tls && {
      tlsListen: tls.listen,
      certificateFile: quote(tls.certificateFile),
      keyFile: quote(tls.keyFile),
      clientCaFile: quote(tls.clientCaFile ?? ""),
      verifyClient: tls.certificatesFor === "everything" ? "on" : "optional",
    }),
  };
  const sections: Readonly<Record<string, boolean>> = {
    tls: tls !== undefined,
    tlsForIngest: tls?.serves === "ingest",
    clientCa: tls?.clientCaFile !== undefined,
    otlpGrpc: otlp.grpcListen !== undefined,
    otlpHttp: otlp.httpListen !== undefined,
    otlpPort: otlp.grpcListen !== undefined || otlp.httpListen !== undefined,
    callsLimit: settings.callsPerSecondMax !== undefined,
    accessLog: settings.accessLogFile !== undefined,
  };
  const template = readFileSync(new URL("nginx.conf.template", import.meta.url), "utf8");
  return withSections(
    template.replace("{{names}} and leaves out {{#sections}}", "names"),
    sections,
  ).replaceAll(/\{\{(\w+)\}\}(\/[\w.-]+)?/g, (_, name: string, path: string | undefined) => {
    const value = values[name];
    if (value === undefined) throw new Error(`nginx.conf.template: unknown {{${name}}}`);
    return path === undefined ? value : quote(value + path);
  });
}

/**
 * Keeps the lines between `{{#name}}` and `{{/name}}` when the section is enabled, `{{^name}}` when it is
 * not.
 */
function withSections(text: string, sections: Readonly<Record<string, boolean>>): string {
  const kept: boolean[] = [];
  const lines = text.split("\n").filter((line) => {
    const [, sign, name = ""] = /^\{\{([#^/])(\w+)\}\}$/.exec(line) ?? [];
    if (sign === undefined) return !kept.includes(false);
    const wanted = sections[name];
    if (wanted === undefined) throw new Error(`nginx.conf.template: unknown ${line}`);
    if (sign === "/") kept.pop();
    else kept.push(wanted === (sign === "#"));
    return false;
  });
  return lines.join("\n");
}

function upstreamLines(
  addresses: readonly string[],
  { leaveOutSeconds = 0, resolver }: Pick<NginxSettings, "leaveOutSeconds" | "resolver">,
): string {
  if (addresses.length === 0) throw new Error("Nginx needs at least one address in every upstream");
  const failures = leaveOutSeconds === 0 ? "max_fails=0" : `max_fails=3 fail_timeout=${leaveOutSeconds}s`;
  const following = resolver ? " resolve" : "";
  return addresses.map((address) => `    server ${address} ${failures}${following};`).join("\n");
}

function toPort(address: string | undefined): string | undefined {
  return address?.slice(address.lastIndexOf(":") + 1);
}

type Version = readonly [major: number, minor: number, patch: number];

function isAtLeast(version: Version, wanted: Version): boolean {
  const [a, b] = [version, wanted].map(([major, minor, patch]) => major * 1e6 + minor * 1e3 + patch);
  return a! >= b!;
}

/**
 * Quotes a path, which may contain spaces; rejects characters that Nginx reads as a variable or the end
 * of the text.
 */
function quote(path: string): string {
  if (/[$\n]/.test(path)) {
    throw new Error(
      `Nginx cannot use the path ${path}: it would expand $ as a variable. Use a path without $`,
    );
  }
  return `"${path.replaceAll(/["\\]/g, "\\$&")}"`;
}
