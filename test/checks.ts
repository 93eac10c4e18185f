import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";
import { openapiFile, openapiText } from "#gateway/openapi/write-openapi.ts";

/** One check of the source; `run` returns the problems, "" without any, undefined when it cannot be checked here. */
export interface Check {
  readonly name: string;
  readonly run: () => string | undefined;
}

/** What `npm run check` runs, and `npm test` too. The tidy test belongs to it and is a test file of its own. */
export const checks: readonly Check[] = [
  { name: "format", run: () => outputIfFailed("biome", "ci", "--colors=off", ".") },
  { name: "lint", run: () => outputIfFailed("oxlint", "--type-aware", ".") },
  { name: "types", run: () => outputIfFailed("tsc", "--pretty", "false") },
  { name: "types of the page", run: () => outputIfFailed("tsc", "--pretty", "false", "-p", "dashboard") },
  { name: "unused code and dependencies", run: () => outputIfFailed("knip", "--no-progress") },
  { name: "proto lint", run: () => outputIfFailed("buf", "lint") },
  { name: "proto format", run: () => outputIfFailed("buf", "format", "--diff", "--exit-code") },
  { name: "proto compatible with wire v1", run: () => breakingChanges("proto") },
  { name: "generated code is current", run: staleGeneratedCode },
  { name: "openapi.json is current", run: staleOpenapi },
];

/**
 * Against the contract as it was released, `proto/wire-v1.binpb`, which is in every checkout. `npm run accept-contract`
 * replaces it, on purpose.
 */
export function breakingChanges(folder: string): string {
  return outputIfFailed("buf", "breaking", folder, "--against", "proto/wire-v1.binpb");
}

function staleGeneratedCode(): string {
  const fresh = mkdtempSync(join(tmpdir(), "fleetlog-generated-"));
  try {
    const failed = outputIfFailed("buf", "generate", "--output", fresh);
    if (failed) return failed;
    const [wanted, found] = [join(fresh, "proto/gen"), join(projectFolder, "proto/gen")].map(contents);
    const names = new Set([...Object.keys(wanted ?? {}), ...Object.keys(found ?? {})]);
    const stale = [...names].filter((name) => wanted?.[name] !== found?.[name]);
    return stale.length === 0 ? "" : `run npm run generate: not current are ${stale.join(", ")}`;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function staleOpenapi(): string {
  return readFileSync(openapiFile, "utf8") === openapiText() ? "" : "run npm run generate";
}

function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".ts"),
  );
  return Object.fromEntries(files.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

function outputIfFailed(command: string, ...args: readonly string[]): string {
  const done = spawnSync(join(projectFolder, "node_modules/.bin", command), args, {
    cwd: projectFolder,
    encoding: "utf8",
  });
  if (done.error) return String(done.error);
  return done.status === 0 ? "" : `${done.stdout}${done.stderr}`.trim() || `exit code ${done.status}`;
}
