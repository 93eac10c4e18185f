import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onFreePort } from "#dev/free-port.ts";
import { processIdentity } from "#dev/process-identity.ts";
import { type RunningSystem, startSystem } from "#dev/system.ts";
import { BrokenPromiseError } from "./block.ts";
import { GoodSender } from "./good-sender.ts";
import { settledMiB } from "./settled-memory.ts";

/** How much more memory a process may hold after a block than after its beginning. */
const growthMiBMax = 64;

const inspected = { NODE_OPTIONS: "--inspect=127.0.0.1:0" };

interface Watched {
  readonly name: string;
  readonly pid: number;
  /** Who it is besides its number, which a successor could have again. */
  readonly identity: string;
  readonly inspectorUrl: string | undefined;
  startMiB: number;
}

/** The whole of Fleetlog, and what has to hold of it whatever it is sent. */
export class Target {
  readonly system: RunningSystem;
  readonly databaseUrl: string;
  readonly #stack: AsyncDisposableStack;
  readonly #watched: readonly Watched[];
  readonly #good: GoodSender;
  #reported = 0;

  /** `databaseUrl` must be migrated; without it the target has a PostgreSQL of its own. */
  static async start(databaseUrl?: string): Promise<Target> {
    await using started = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "fleetlog-fuzz-"));
    started.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    await chmod(folder, 0o755); // PostgreSQL may run as another user
    const system = await onFreePort((httpPort) =>
      onFreePort((grpcPort) =>
        startSystem({
          folder,
          ...(databaseUrl !== undefined && { databaseUrl }),
          httpListen: `127.0.0.1:${httpPort}`,
          grpcListen: `127.0.0.1:${grpcPort}`,
          env: { server: inspected, gateway: inspected, consumer: { ...inspected, TAIL_WINDOW_MS: "0" } },
          serverEnv: [{}, { GRPC_FAST_PATH: "off" }],
          nginxSettings: { workerProcesses: 2, workerConnections: 1_024, shutdownSeconds: 1 },
        }),
      ),
    );
    started.defer(() => system.stop());
    return new Target(system, folder, started.move());
  }

  private constructor(system: RunningSystem, folder: string, stack: AsyncDisposableStack) {
    this.system = system;
    this.databaseUrl = system.databaseUrl;
    this.#stack = stack;
    this.#good = new GoodSender(system);
    const programs = [...system.servers, system.consumer, system.gateway];
    const workers = readFileSync(`/proc/${system.nginx.pid}/task/${system.nginx.pid}/children`, "utf8");
    this.#watched = [
      ...programs.map(({ name, pid }) => watched(name, pid, inspectorUrl(folder, name))),
      watched("nginx", system.nginx.pid),
      ...workers
        .trim()
        .split(" ")
        .map((pid) => watched(`nginx worker ${pid}`, Number(pid))),
      watched("redis", system.redis.pid),
    ];
  }

  /** From here on calls that end as our mistake are counted. */
  async begin(): Promise<void> {
    await this.#good.sendAndFind();
    this.#reported = await this.#callsEndedAsOurMistake();
  }

  /** From here on memory is compared. */
  async measure(): Promise<void> {
    const sizes = await this.#sizes();
    for (const [index, one] of this.#watched.entries()) one.startMiB = sizes[index]!;
  }

  /** Throws what is not as it must be; else the growth of each process in MiB. */
  async judge(): Promise<string> {
    this.checkAlive();
    await this.#good.sendAndFind();
    const reported = (await this.#callsEndedAsOurMistake()) - this.#reported;
    if (reported > 0) throw new BrokenPromiseError(`${reported} calls were counted as INTERNAL or UNKNOWN`);
    const sizes = await this.#sizes();
    const growth = this.#watched.map(({ name, startMiB }, index) => ({
      name,
      grownMiB: Math.round(sizes[index]! - startMiB),
    }));
    const described = growth.map(({ name, grownMiB }) => `${name} ${grownMiB}`).join(", ");
    if (growth.some(({ name, grownMiB }) => grownMiB >= growthMiBMax && name !== "redis")) {
      throw new BrokenPromiseError(`memory grew by (MiB): ${described}, the limit is ${growthMiBMax}`);
    }
    return described;
  }

  checkAlive(): void {
    for (const { name, pid, identity } of this.#watched) {
      if (processIdentity(pid) !== identity) throw new BrokenPromiseError(`${name} (${pid}) is gone`);
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }

  #sizes(): Promise<readonly number[]> {
    return Promise.all(this.#watched.map(({ pid, inspectorUrl }) => settledMiB(pid, inspectorUrl)));
  }

  async #callsEndedAsOurMistake(): Promise<number> {
    const { servers, gateway } = this.system;
    const addresses = [...servers.map(({ addresses }) => addresses.admin), gateway.addresses.http];
    let calls = 0;
    for (const address of addresses) {
      const text = await (await fetch(`http://${address}/metrics`)).text();
      for (const line of text.matchAll(
        /^grpc_server_handled_total\{.*grpc_code="(?:internal|unknown)".* (\d+)$/gim,
      )) {
        calls += Number(line[1]);
      }
    }
    return calls;
  }
}

function watched(name: string, pid: number, inspectorUrl?: string): Watched {
  return { name, pid, identity: processIdentity(pid) ?? "", inspectorUrl, startMiB: 0 };
}

function inspectorUrl(folder: string, name: string): string {
  const log = readFileSync(join(folder, `logs/${name}.log`), "utf8");
  const url = /^Debugger listening on (ws:\S+)$/m.exec(log)?.[1];
  if (url === undefined) throw new Error(`${name} did not say where its inspector listens`);
  return url;
}
