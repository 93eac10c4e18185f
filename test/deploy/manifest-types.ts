import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";
import type { Manifest } from "./manifests.ts";

/** Folders of the package kubernetes-types, by API group. */
const folders: Readonly<Record<string, string>> = {
  "": "core",
  apps: "apps",
  autoscaling: "autoscaling",
  batch: "batch",
  policy: "policy",
  "networking.k8s.io": "networking",
};

/**
 * The problems of the manifests by the types of Kubernetes' API: each becomes a TypeScript literal, and the compiler
 * finds what is missing, misspelt or of another type. A misspelt field would otherwise be refused, or ignored, by
 * a cluster only.
 */
export function typeErrors(manifests: readonly Manifest[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-manifests-"));
  try {
    const lines = manifests.map(
      (manifest, index) => `export const m${index}: ${toType(manifest)} = ${JSON.stringify(manifest)};`,
    );
    const file = join(folder, "manifests.ts");
    writeFileSync(file, lines.join("\n"));
    const { stdout } = spawnSync(
      join(projectFolder, "node_modules/.bin/tsc"),
      ["--noEmit", "--strict", "--pretty", "false", "--skipLibCheck", "--types", "", "--ignoreConfig", file],
      { encoding: "utf8", cwd: folder },
    );
    return stdout
      .trim()
      .split("\n")
      .filter(Boolean)
      .map((line) => line.replace(/^.*?\((\d+),\d+\): /, (_, number) => `${toName(manifests, number)}: `));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function toType({ apiVersion, kind }: Manifest): string {
  const [version, group = ""] = apiVersion.split("/").toReversed();
  const folder = folders[group];
  if (folder === undefined) throw new Error(`${apiVersion}: of which folder of kubernetes-types?`);
  const path = join(projectFolder, "node_modules/kubernetes-types", folder, `${version}.d.ts`);
  return `import(${JSON.stringify(path)}).${kind}`;
}

function toName(manifests: readonly Manifest[], line: string): string {
  const manifest = manifests[Number(line) - 1];
  return manifest ? `${manifest.kind} ${manifest.metadata.name}` : line;
}
