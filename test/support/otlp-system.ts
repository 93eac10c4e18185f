import { onFreePort } from "#dev/free-port.ts";
import { startSystem, type TestSystem } from "./system.ts";

/** The whole of Fleetlog, with Nginx's ports for OTLP. */
export function startOtlpSystem(options: Parameters<typeof startSystem>[0] = {}): Promise<TestSystem> {
  return onFreePort((grpcPort) =>
    onFreePort((httpPort) =>
      startSystem({
        ...options,
        nginxSettings: {
          ...options.nginxSettings,
          otlp: { grpcListen: `127.0.0.1:${grpcPort}`, httpListen: `127.0.0.1:${httpPort}` },
        },
      }),
    ),
  );
}
