import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { waitFor } from "#test/support/wait-for.ts";

const script = fileURLToPath(new URL("../start.ts", import.meta.url));
const upWithinMs = 180_000;

/** `npm start` in a process of its own. */
export class Started {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  output = "";
  readonly #folder: string;

  constructor(folder: string, { http, grpc }: { http: number; grpc: number }, env: Record<string, string>) {
    this.#folder = folder;
    this.process = spawn(process.execPath, [script], {
      stdio: ["ignore", "pipe", "pipe"],
      env: {
        ...process.env,
        FLEETLOG_FOLDER: folder,
        FLEETLOG_HTTP_PORT: String(http),
        FLEETLOG_GRPC_PORT: String(grpc),
        FLEETLOG_OTLP_GRPC_PORT: "off",
        FLEETLOG_OTLP_HTTP_PORT: "off",
        ...env,
      },
    });
    this.ended = new Promise((resolve) => this.process.once("close", resolve));
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.on("data", (data) => (this.output += String(data)));
    }
  }

  async up(): Promise<void> {
    let exitCode: number | null | undefined;
    void this.ended.then((code) => (exitCode = code));
    await waitFor(
      "npm start",
      () => exitCode !== undefined || this.output.includes("Ctrl-C stops"),
      upWithinMs,
    );
    assert.equal(exitCode, undefined, this.output);
  }

  /** The printed commands that begin with `word`, continued lines joined. */
  commands(word: string): readonly string[] {
    const lines = this.output.replaceAll("\\\n", "").split("\n");
    return lines.map((line) => line.trim()).filter((line) => line.startsWith(word));
  }

  async childPids(): Promise<readonly number[]> {
    const run = join(this.#folder, "run");
    if (!existsSync(run)) return [];
    const files = await readdir(run);
    return Promise.all(files.map((file) => this.pidOf(file.replace(".pid", ""))));
  }

  async pidOf(name: string): Promise<number> {
    return Number((await readFile(join(this.#folder, `run/${name}.pid`), "utf8")).split(" ")[0]);
  }
}

export function shell(command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const run = spawn("sh", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    run.stdout.on("data", (data) => (output += String(data)));
    run.once("error", reject);
    run.once("close", () => resolve(output));
  });
}
