import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { execa } from "execa";
import { projectFolder } from "../folders.ts";

const name = "fleetlog-client";

/** What users import, by subpath. */
const entryPoints = { ".": "client/library", "./pino-transport": "client/pino/pino-transport" } as const;

/** Packages that only users of one subpath need. */
const optionalPeers = { pino: ">=9" };

/**
 * Compiles the client library to JavaScript with types in `folder`, which is emptied first, together with the files of
 * other folders that it imports and with a manifest, and returns the path of the tarball that `npm pack` makes of it.
 *
 * The files keep the project's layout, its `#folder/file` imports and their line numbers: there is no bundler, and stack
 * traces name the places of this repository.
 */
export async function buildPackage(folder: string): Promise<string> {
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  await compile(folder);
  const compiled = (await readdir(folder, { recursive: true })).filter((file) => file.endsWith(".js"));
  const sources = await Promise.all(compiled.map((file) => readFile(join(folder, file), "utf8")));
  const manifest = toManifest(await readManifest(), sources, [
    ...new Set(compiled.map((file) => file.split("/")[0]!)),
  ]);
  await writeFile(join(folder, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  await cp(join(projectFolder, "LICENSE"), join(folder, "LICENSE"));
  await cp(join(projectFolder, "dev/client-package/README.md"), join(folder, "README.md"));
  const { stdout } = await execa("npm", ["pack", "--silent"], { cwd: folder, timeout: 60_000 });
  return join(folder, stdout.trim());
}

/** Emits the types of the entry points and of all they import; the JavaScript is what is left without types. */
async function compile(folder: string): Promise<void> {
  const config = {
    extends: join(projectFolder, "tsconfig.json"),
    compilerOptions: {
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      rootDir: projectFolder,
      outDir: folder,
      typeRoots: [join(projectFolder, "node_modules/@types")],
    },
    include: [],
    files: Object.values(entryPoints).map((entry) => join(projectFolder, `${entry}.ts`)),
  };
  const path = join(folder, "tsconfig.json");
  await writeFile(path, JSON.stringify(config));
  await execa("tsc", ["--project", path], { preferLocal: true, localDir: projectFolder, timeout: 120_000 });
  await rm(path);
  for (const file of await readdir(folder, { recursive: true })) {
    if (!file.endsWith(".d.ts")) continue;
    const module = file.slice(0, -".d.ts".length);
    const source = await readFile(join(projectFolder, `${module}.ts`), "utf8");
    await writeFile(join(folder, `${module}.js`), withJsImports(stripTypeScriptTypes(source)));
    await writeFile(join(folder, file), withJsImports(await readFile(join(folder, file), "utf8")));
  }
}

function withJsImports(source: string): string {
  return source.replaceAll(/(\b(?:from|import\() ?"[.#][^"]*)\.ts"/g, '$1.js"');
}

interface Manifest {
  readonly version: string;
  readonly license: string;
  readonly dependencies: Readonly<Record<string, string>>;
}

async function readManifest(): Promise<Manifest> {
  return JSON.parse(await readFile(join(projectFolder, "package.json"), "utf8")) as Manifest;
}

function toManifest(
  { version, license, dependencies }: Manifest,
  sources: readonly string[],
  folders: readonly string[],
) {
  const imported = new Set(sources.flatMap(packagesIn));
  return {
    name,
    version,
    description: "Sends logs to Fleetlog: acknowledged, stored once, kept across restarts",
    license,
    type: "module",
    engines: { node: ">=24" },
    exports: Object.fromEntries(
      Object.entries(entryPoints).map(([subpath, entry]) => [
        subpath,
        { types: `./${entry}.d.ts`, default: `./${entry}.js` },
      ]),
    ),
    imports: Object.fromEntries(folders.map((folder) => [`#${folder}/*`, `./${folder}/*`])),
    dependencies: Object.fromEntries(Object.entries(dependencies).filter(([name]) => imported.has(name))),
    peerDependencies: optionalPeers,
    peerDependenciesMeta: Object.fromEntries(
      Object.keys(optionalPeers).map((name) => [name, { optional: true }]),
    ),
  };
}

/** The packages that a compiled file imports: "@scope/name" of "@scope/name/subpath". */
function packagesIn(source: string): string[] {
  return [...source.matchAll(/\bfrom "([^"#.][^"]*)"/g)]
    .map(([, specifier = ""]) => specifier)
    .filter((specifier) => !specifier.startsWith("node:"))
    .map((specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/"));
}
