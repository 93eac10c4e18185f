import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

/** One of bench/ghz/*.json: a configuration file of ghz, which also works by hand with `ghz --config`. */
export interface GhzCall {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  /** The listeners that it calls. */
  readonly targets: readonly ("nginx" | "direct")[];
  readonly recordsPerBatch: number;
  readonly batchesPerCall: number;
}

const both = ["nginx", "direct"] as const;
const targets = {
  "unary-1": both,
  "unary-10": both,
  "unary-100": both,
  "stream-100": both,
  ramp: ["nginx"],
  soak: ["nginx"],
} as const;

/** All calls; soak runs only on request, since it takes ten minutes. */
export const callNames = Object.keys(targets) as (keyof typeof targets)[];

export function readCall(name: keyof typeof targets): GhzCall {
  const config = JSON.parse(readFileSync(join(projectFolder, "bench/ghz", `${name}.json`), "utf8")) as Record<
    string,
    unknown
  >;
  const { batch } = JSON.parse(toData(config)) as { batch: { records: unknown[] } };
  return {
    name,
    config,
    targets: targets[name],
    recordsPerBatch: batch.records.length,
    batchesPerCall: Number(config["stream-call-count"] ?? 1),
  };
}

/** The configuration for one run: its target, its device names and its duration. */
export function toConfig(
  call: GhzCall,
  run: { readonly host: string; readonly prefix: string; readonly output: string; readonly seconds?: number },
): { readonly config: object; readonly data: string } {
  const { config } = call;
  const { seconds } = run;
  return {
    config: {
      ...config,
      host: run.host,
      format: "json",
      output: run.output,
      ...(seconds !== undefined && { duration: `${seconds}s` }),
      // A ramp that is cut short still goes through all its steps.
      ...(seconds !== undefined &&
        config["load-step-duration"] !== undefined && {
          "load-step-duration": `${Math.round((seconds * 1_000) / 12)}ms`,
        }),
    },
    data: toData(call.config).replace('"ghz-', `"${run.prefix}`),
  };
}

function toData(config: GhzCall["config"]): string {
  return readFileSync(join(projectFolder, String(config["data-file"])), "utf8");
}
