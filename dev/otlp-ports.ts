import { isIPv6 } from "node:net";
import { z } from "zod";
import { type Env, integer, readEnv } from "#lib/config.ts";
import type { OtlpListeners } from "#nginx/render.ts";
import { PortInUseError, reservePort } from "./reserve-port.ts";

/** The ports on which Nginx serves OTLP alone. */
interface OtlpPorts {
  readonly listeners: OtlpListeners;
  /** Held until Nginx binds them. */
  readonly reserved: readonly AsyncDisposable[];
  /** What to print: a port that was left out. */
  readonly notes: readonly string[];
}

const grpcVariable = "FLEETLOG_OTLP_GRPC_PORT";
const httpVariable = "FLEETLOG_OTLP_HTTP_PORT";

/**
 * Reserves the ports for OTLP. One that another program has, such as a collector, is left out with a note unless it
 * was chosen: OTLP is served on the usual ports too. A chosen one that is in use is an error.
 */
export async function reserveOtlpPorts(
  env: Env,
  host: string,
  usual = { grpc: 4317, http: 4318 },
): Promise<OtlpPorts> {
  const ports = readEnv(
    { [grpcVariable]: portOrOff().optional(), [httpVariable]: portOrOff().optional() },
    env,
  );
  const notes: string[] = [];
  const reserved: AsyncDisposable[] = [];
  const reserve = async (variable: string, port: number | "off", served: string) => {
    if (port === "off") return undefined;
    try {
      reserved.push(await reservePort(host, port, variable));
    } catch (error) {
      if (!(error instanceof PortInUseError) || env[variable]) throw error;
      notes.push(
        `Port ${port} is in use by another program: ${served} only. ` +
          `To serve OTLP on another one: ${variable}=${port + 10_000} npm start; to drop this note: ${variable}=off`,
      );
      return undefined;
    }
    return `${isIPv6(host) ? `[${host}]` : host}:${port}`;
  };
  const listeners = {
    grpcListen: await reserve(
      grpcVariable,
      ports[grpcVariable] ?? usual.grpc,
      "OTLP/gRPC is served on the gRPC port",
    ),
    httpListen: await reserve(
      httpVariable,
      ports[httpVariable] ?? usual.http,
      "OTLP/HTTP is served on the HTTP port",
    ),
  };
  return { listeners, reserved, notes };
}

function portOrOff() {
  return z.union([z.literal("off"), integer(1, 65_535)], 'expected an integer from 1 to 65535, or "off"');
}
