import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "#dev/folders.ts";
import { freePort } from "#dev/free-port.ts";

/** The whole of docker-compose.yml as a project of its own beside any other, driven as an operator drives it. */
export class Trial {
  /** Temporary; `tls` in it is what Nginx sees as /tls. */
  readonly folder: string;
  readonly ports: {
    readonly http: number;
    readonly grpc: number;
    readonly tls: number;
    readonly prometheus: number;
  };
  readonly project = `fleetlog-trial-${process.pid}`;
  readonly envFile: string;
  readonly #surroundings: { env: Record<string, string>; stdin: "ignore"; timeout: number };

  static async create(): Promise<Trial> {
    const [http, grpc, tls, prometheus] = [
      await freePort(),
      await freePort(),
      await freePort(),
      await freePort(),
    ];
    return new Trial({ http, grpc, tls, prometheus });
  }

  private constructor(ports: Trial["ports"]) {
    this.ports = ports;
    this.folder = mkdtempSync(join(tmpdir(), "fleetlog-compose-"));
    mkdirSync(join(this.folder, "tls"));
    this.envFile = join(this.folder, ".env");
    const openFilesMax = Number(spawnSync("sh", ["-c", "ulimit -Hn"], { encoding: "utf8" }).stdout) || 65_536;
    this.#surroundings = {
      env: {
        COMPOSE_PROJECT_NAME: this.project,
        FLEETLOG_ENV_FILE: this.envFile,
        HTTP_PORT: String(ports.http),
        GRPC_PORT: String(ports.grpc),
        TLS_PORT: String(ports.tls),
        TLS_FOLDER: join(this.folder, "tls"),
        PROMETHEUS_PORT: String(ports.prometheus),
        NGINX_OPEN_FILES_MAX: String(Math.min(openFilesMax, 65_536)),
        BENCH_SECONDS: "2",
      },
      stdin: "ignore",
      timeout: 600_000,
    };
  }

  /** What ./manage.sh printed; throws unless it ends with 0. */
  async manage(...args: readonly string[]): Promise<string> {
    return (await execa("./manage.sh", args, { ...this.#surroundings, cwd: projectFolder })).stdout;
  }

  /** The same, however it ends. */
  manageResult(...args: readonly string[]) {
    return execa("./manage.sh", args, { ...this.#surroundings, cwd: projectFolder, reject: false });
  }

  /** `docker compose` with this project's files and settings. */
  compose(...args: readonly string[]): Promise<string> {
    return this.docker("compose", "--project-directory", projectFolder, "--env-file", this.envFile, ...args);
  }

  async docker(...args: readonly string[]): Promise<string> {
    return (await execa("docker", args, this.#surroundings)).stdout.trim();
  }

  /** Ids of the service's containers. */
  async containers(service: string): Promise<string[]> {
    return (await this.compose("ps", "--quiet", service)).split("\n").filter(Boolean);
  }

  /** Names, ids and times of start: equal as long as no container was replaced or restarted. */
  async started(services: readonly string[]): Promise<string> {
    const ids = (await Promise.all(services.map((service) => this.containers(service)))).flat();
    return this.docker("inspect", "--format", "{{.Name}} {{.Id}} {{.State.StartedAt}}", ...ids);
  }

  /** As psql prints it without decoration. */
  async sql(query: string): Promise<string> {
    return (await this.manage("psql", "-Atc", query)).trim();
  }

  /** What .env says, for the next start. */
  set(values: Readonly<Record<string, string>>): void {
    const lines = Object.entries(values).map(([name, value]) => `${name}=${value}\n`);
    writeFileSync(this.envFile, readFileSync(this.envFile, "utf8") + lines.join(""));
  }

  async remove(): Promise<void> {
    await this.manage("clean", "--yes");
    rmSync(this.folder, { recursive: true });
  }
}
