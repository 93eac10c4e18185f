import { z } from "zod";
import { allowedHosts } from "#lib/allowed-hosts.ts";
import { type Env, integer, listenAddress, readEnv } from "#lib/config.ts";
import { addressText, tlsSettings, tlsShape } from "./tls-config.ts";

/**
 * The settings of Nginx in a container, from its environment: everything but LISTEN and NGINX_… names other programs as
 * `name:port`, looked up through NGINX_RESOLVER while Nginx runs. Throws a ConfigError that lists every bad variable.
 */
export function readConfig(env: Env) {
  const values = readEnv(
    {
      NGINX_CONFIG_FILE: oneWord("a path").prefault("/nginx-config/nginx.conf"),
      NGINX_FOLDER: oneWord("a path").prefault("/var/cache/nginx"),
      NGINX_VERSION: version(),
      NGINX_RESOLVER: z
        .string()
        .regex(
          /^[\w.:[\]= -]+$/,
          'expected what follows Nginx\'s directive "resolver", such as "127.0.0.11 valid=2s"',
        )
        .prefault("127.0.0.11 valid=2s ipv6=off"),
      HTTP_LISTEN: listenAddress().prefault("0.0.0.0:8080"),
      GRPC_LISTEN: listenAddress().prefault("0.0.0.0:50051"),
      OTLP_GRPC_LISTEN: addressOrOff().prefault("0.0.0.0:4317"),
      OTLP_HTTP_LISTEN: addressOrOff().prefault("0.0.0.0:4318"),
      ALLOWED_HOSTS: allowedHosts(),
      ...tlsShape,
      SERVER_GRPC: peer().prefault("server:50061"),
      SERVER_HTTP: peer().prefault("server:8081"),
      GATEWAY_HTTP: peer().prefault("gateway:8082"),
      NGINX_STREAM_IDLE_SECONDS: integer(60, 86_400).prefault("3600"),
      NGINX_SHUTDOWN_SECONDS: integer(1, 25).prefault("2"),
      NGINX_WORKER_PROCESSES: integer(1, 256).optional(),
      NGINX_WORKER_CONNECTIONS: integer(256, 1_048_576).prefault("16384"),
      NGINX_CONNECTIONS_PER_ADDRESS_MAX: integer(1, 10_000_000).prefault("10000"),
      NGINX_CALLS_PER_SECOND_MAX: integer(1, 1_000_000).optional(),
      NGINX_ACCESS_LOG: oneWord("a path").optional(),
      NGINX_ACCESS_LOG_PERCENT: integer(0, 100).prefault("100"),
    },
    env,
  );
  const tls = tlsSettings(values);
  return Object.freeze({
    configFile: values.NGINX_CONFIG_FILE,
    settings: {
      folder: values.NGINX_FOLDER,
      version: values.NGINX_VERSION,
      resolver: values.NGINX_RESOLVER,
      httpListen: addressText(values.HTTP_LISTEN),
      grpcListen: addressText(values.GRPC_LISTEN),
      allowedHosts: values.ALLOWED_HOSTS,
      ...(tls && { tls }),
      otlp: {
        grpcListen: values.OTLP_GRPC_LISTEN && addressText(values.OTLP_GRPC_LISTEN),
        httpListen: values.OTLP_HTTP_LISTEN && addressText(values.OTLP_HTTP_LISTEN),
      },
      servers: [{ grpc: values.SERVER_GRPC, http: values.SERVER_HTTP }],
      gateways: [values.GATEWAY_HTTP],
      // A removed container does not refuse a connection, it is silent: every call to it costs the
      // connect timeout.
      leaveOutSeconds: 2,
      streamIdleSeconds: values.NGINX_STREAM_IDLE_SECONDS,
      shutdownSeconds: values.NGINX_SHUTDOWN_SECONDS,
      workerProcesses: values.NGINX_WORKER_PROCESSES ?? "auto",
      workerConnections: values.NGINX_WORKER_CONNECTIONS,
      connectionsPerAddressMax: values.NGINX_CONNECTIONS_PER_ADDRESS_MAX,
      ...(values.NGINX_CALLS_PER_SECOND_MAX && { callsPerSecondMax: values.NGINX_CALLS_PER_SECOND_MAX }),
      ...(values.NGINX_ACCESS_LOG && { accessLogFile: values.NGINX_ACCESS_LOG }),
      accessLogPercent: values.NGINX_ACCESS_LOG_PERCENT,
    },
  } as const);
}

/** `host:port`, or undefined for "off". */
function addressOrOff() {
  const form = 'expected host:port or "off"';
  return z.union([z.literal("off").transform(() => undefined), listenAddress()], form);
}

/** "1.30.2", or the tag of an image: "1.30", "1.30-alpine". */
function version() {
  const form = 'expected the version of Nginx, such as "1.30.2" or "1.30-alpine"';
  return z
    .string(form)
    .regex(/^\d+\.\d+(\.\d+)?(-[\w.-]+)?$/, form)
    .transform((value) => {
      const [major, minor, patch] = value.split("-", 1)[0]!.split(".").map(Number);
      return [major!, minor!, patch ?? 0] as const;
    });
}

function peer() {
  return z.string().regex(/^[\w.-]+:\d{1,5}$/, 'expected name:port, such as "server:50061"');
}

function oneWord(what: string) {
  return z
    .string()
    .regex(/^[^\s"$\\;]+$/, `expected ${what} without spaces, quotes, dollar signs and semicolons`);
}
