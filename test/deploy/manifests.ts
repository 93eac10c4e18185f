import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, resolve } from "node:path";
import { parseAllDocuments } from "yaml";
import { projectFolder } from "#dev/folders.ts";

/** The parts of any manifest that the tests look at. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels?: Labels };
  readonly data?: Readonly<Record<string, string>>;
  readonly spec?: Spec;
}

type Labels = Readonly<Record<string, string>>;

interface Spec {
  /** Of a Service. */
  readonly type?: string;
  readonly selector?: Labels & { readonly matchLabels?: Labels };
  readonly template?: { readonly metadata: { readonly labels: Labels }; readonly spec: PodSpec };
  readonly ports?: readonly { readonly port: number; readonly targetPort: string }[];
  readonly scaleTargetRef?: { readonly kind: string; readonly name: string };
  readonly replicas?: number;
  /** Of a NetworkPolicy. */
  readonly ingress?: unknown;
}

export interface PodSpec {
  readonly serviceAccountName?: string;
  readonly automountServiceAccountToken?: boolean;
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly initContainers?: readonly Container[];
  readonly containers: readonly Container[];
  readonly terminationGracePeriodSeconds?: number;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly args?: readonly string[];
  readonly env?: readonly EnvVar[];
  readonly envFrom?: readonly unknown[];
  readonly ports?: readonly { readonly name: string; readonly containerPort: number }[];
  readonly readinessProbe?: unknown;
  readonly livenessProbe?: unknown;
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
  readonly securityContext: unknown;
  readonly volumeMounts?: readonly { readonly mountPath: string }[];
}

interface EnvVar {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef?: { readonly key: string } };
}

const kustomizeFolder = join(projectFolder, "deploy/kustomize");

/** `kubectl kustomize` reads files and nothing else: no cluster is asked. */
const builders = [
  ["kustomize", "build"],
  ["kubectl", "kustomize"],
] as const;

const builder = builders.find(([command]) => spawnSync(command, ["version", "--help"]).status === 0);

/** Whether overlays can be put together here. */
export const canBuild = builder !== undefined;

/** What would be applied; `folder` is below deploy/kustomize. Needs kustomize or kubectl on the PATH. */
export function build(folder: string): readonly Manifest[] {
  if (!builder) throw new Error("neither kustomize nor kubectl is on the PATH");
  const [command, subcommand] = builder;
  const { status, stdout, stderr } = spawnSync(command, [subcommand, resolve(kustomizeFolder, folder)], {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (status !== 0) throw new Error(`${command} ${subcommand} ${folder}: ${stderr.slice(0, 2_000)}`);
  return parseManifests(stdout);
}

/** The manifests of an overlay with an added component. */
export function buildWith(component: string, overlay: string): readonly Manifest[] {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-kustomize-"));
  try {
    const reach = (name: string) => relative(folder, join(kustomizeFolder, name));
    const kustomization = { resources: [reach(overlay)], components: [reach(component)] };
    writeFileSync(join(folder, "kustomization.yaml"), JSON.stringify(kustomization));
    return build(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The whole manifests of a folder as they are written, without what kustomize makes of them and without patches. */
export function written(folder: string): readonly Manifest[] {
  return readdirSync(join(kustomizeFolder, folder))
    .filter((file) => file.endsWith(".yaml"))
    .flatMap((file) => parseManifests(readFileSync(join(kustomizeFolder, folder, file), "utf8")))
    .filter(({ apiVersion }) => apiVersion && !apiVersion.startsWith("kustomize."));
}

function parseManifests(text: string): readonly Manifest[] {
  return parseAllDocuments(text, { strict: true, uniqueKeys: true }).map((document) => {
    if (document.errors[0]) throw document.errors[0];
    return document.toJS() as Manifest;
  });
}
