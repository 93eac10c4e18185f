import { spawnSync } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type NginxSettings, type OtlpListeners, renderNginx } from "#nginx/render.ts";
import { findBinary } from "./binaries.ts";
import { Child } from "./child.ts";

export interface RunningNginx {
  /** host:port of the HTTP/1.1 listener. */
  readonly http: string;
  /** host:port of the gRPC listener. */
  readonly grpc: string;
  /** host:port of the listener with TLS, if there is one. */
  readonly tls: string | undefined;
  /** Those for OTLP alone, if there are any. */
  readonly otlp: OtlpListeners;
  /** Such as "1.22.1". */
  readonly version: string;
  /** The nginx.conf that it was started with. */
  readonly configFile: string;
  readonly pid: number;
  readonly child: Child;
  stop(): Promise<void>;
}

/**
 * Starts Nginx with the template in `nginx/` and its files in `folder`/nginx; ready when it holds its
 * ports and responds.
 */
export async function startNginx(
  folder: string,
  settings: Omit<NginxSettings, "folder" | "version" | "user">,
): Promise<RunningNginx> {
  const binary = await findBinary("nginx");
  const nginxFolder = join(folder, "nginx");
  await mkdir(nginxFolder, { recursive: true });
  const configFile = join(nginxFolder, "nginx.conf");
  const version = readVersion(binary.command, binary.env);
  const text = renderNginx({
    shutdownSeconds: 2,
    ...settings,
    folder: ".", // of -p, for Nginx cannot have every path in its configuration
    version,
    // Started as root, workers would run as a user who cannot reach a project below /root.
    ...(process.getuid?.() === 0 && { user: "root root" }),
  });
  await writeFile(configFile, text);
  const nginxPidFile = join(nginxFolder, "nginx.pid");
  await rm(nginxPidFile, { force: true });
  const child = await Child.start({
    name: "Nginx",
    command: binary.command,
    args: ["-e", "stderr", "-p", nginxFolder, "-c", configFile],
    env: { ...binary.env },
    cwd: nginxFolder,
    logFile: join(folder, "logs/nginx.log"),
    pidFile: join(folder, "run/nginx.pid"),
    stopSignal: "SIGQUIT",
    stopWithinMs: 10_000,
  });
  const [http, grpc] = [settings.httpListen, settings.grpcListen];
  // Nginx writes its pid after binding its ports; a response alone could come from another Nginx on them.
  const bound = async () =>
    (await readFile(nginxPidFile, "utf8").catch(() => "")).trim() === String(child.pid);
  await child.until(async () => ((await bound()) && (await isAlive(http)) ? true : undefined), 15_000);
  return {
    http,
    grpc,
    tls: settings.tls?.listen,
    otlp: settings.otlp ?? {},
    version: version.join("."),
    configFile,
    pid: child.pid,
    child,
    stop: () => child.stop(),
  };
}

async function isAlive(address: string): Promise<boolean> {
  try {
    return (await fetch(`http://${address}/livez`, { signal: AbortSignal.timeout(1_000) })).ok;
  } catch {
    return false; // not listening yet
  }
}

function readVersion(command: string, env: Readonly<Record<string, string>>): [number, number, number] {
  const { stderr } = spawnSync(command, ["-v"], { encoding: "utf8", env: { ...process.env, ...env } });
  const found = /nginx\/(\d+)\.(\d+)\.(\d+)/.exec(stderr);
  if (!found) throw new Error(`${command} -v printed ${JSON.stringify(stderr)}, expected a version of Nginx`);
  return [Number(found[1]), Number(found[2]), Number(found[3])];
}
