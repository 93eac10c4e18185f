import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { projectFolder } from "#dev/folders.ts";
import { forbiddenWords } from "./forbidden-words.ts";

// Keeps the layout what docs/ARCHITECTURE.md says it is.

const anything = "*";

/** Which folders and packages the code of a folder may import; tests beside the code may also use test support. */
const mayImport: Readonly<Record<string, readonly string[]>> = Object.fromEntries(
  Object.entries({
    lib: "commander pino prom-client zod",
    search: "",
    batch: "proto search @bufbuild/protobuf",
    otlp: "batch",
    stream: "lib ioredis",
    postgres: "lib kysely pg",
    client:
      "lib proto batch @bufbuild/protobuf @connectrpc/* @grpc/* commander fzstd pino-abstract-transport",
    rpc: "lib proto @bufbuild/protobuf @connectrpc/*",
    server:
      "lib rpc proto batch otlp stream @bufbuild/protobuf @connectrpc/* @grpc/* grpc-health-check ioredis zod",
    consumer: "lib batch search stream postgres ioredis kysely lru-cache p-queue pg pg-copy-streams zod",
    gateway:
      "lib rpc proto batch search stream postgres @bufbuild/protobuf @connectrpc/* csv-stringify ioredis kysely lru-cache pg sirv zod",
    // Runs in the browser; what it is made of is put into its bundle by vite.
    dashboard: "proto @bufbuild/protobuf @connectrpc/* @preact/* preact uplot vite",
    "dead-letters": "lib proto batch stream postgres @bufbuild/protobuf commander kysely zod",
    nginx: "lib zod",
    doctor: "lib stream postgres ioredis kysely zod",
    bench: anything,
    clients: anything,
    dev: anything,
    test: anything,
  }).map(([folder, names]) => [folder, names.split(" ")]),
);

const programs = new Set(["server", "consumer", "gateway", "client", "doctor", "dead-letters"]);
const linesMax = 250;
const testLinesMax = 400;

interface Source {
  /** Path from the project's folder. */
  readonly path: string;
  readonly folder: string;
  readonly isTest: boolean;
  readonly text: string;
  readonly imports: readonly string[];
}

const sources = [...new Set(Object.keys(mayImport).map(toTopFolder))].flatMap(sourcesIn);
const { dependencies, devDependencies } = JSON.parse(
  readFileSync(join(projectFolder, "package.json"), "utf8"),
) as Record<"dependencies" | "devDependencies", Record<string, string>>;

describe("the source", () => {
  test("is where the table says", () => {
    const known = new Set([...Object.keys(mayImport), "proto", "docs", "examples", "deploy", "node_modules"]);
    const unknown = readdirSync(projectFolder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory() && !entry.name.startsWith(".") && !known.has(entry.name))
      .map(({ name }) => name);
    assert.deepEqual(unknown, []);
  });

  test("imports across folders only as the table allows", () => {
    offenders(({ folder, isTest, imports }) =>
      imports.filter((name) => !isAllowed(name, folder, isTest)).map((name) => `imports ${name}`),
    );
  });

  test("reaches another folder by #folder/file.ts, and names files with their ending", () => {
    offenders(({ path, folder, imports }) =>
      imports.flatMap((name) => {
        if (name.startsWith("#")) return name.endsWith(".ts") ? [] : [`imports ${name} without its ending`];
        if (!name.startsWith(".") || name.endsWith("/dev/bootstrap.mjs")) return []; // runs before #folders exist
        const target = join(path, "..", name);
        if (toTopFolder(target) !== toTopFolder(folder))
          return [`imports ${name}: another folder, by a relative path`];
        return /\.(tsx?|mjs)$/.test(name) ? [] : [`imports ${name} without its ending`];
      }),
    );
  });

  test("uses packages that are installed at runtime, except in tests and tools", () => {
    offenders(({ folder, isTest, imports }) =>
      isTest || mayImport[folder]?.includes(anything) || folder === "dashboard"
        ? []
        : imports
            .filter((name) => isPackage(name) && dependencies[toPackage(name)] === undefined)
            .map((name) => `imports ${name}, which is no runtime dependency`),
    );
  });

  test("reads the environment only in a program's main.ts", () => {
    const free = new Set(["dev", "test", "bench"]);
    offenders(({ path, folder, isTest, text }) =>
      isTest || free.has(folder) || path === `${folder}/main.ts` || !/process\.env\b/.test(code(text))
        ? []
        : ["reads process.env"],
    );
  });

  test(`has no file over ${linesMax} lines, and no test over ${testLinesMax}`, () => {
    offenders(({ text, isTest }) => {
      const lines = text.split("\n").length - 1;
      return lines > (isTest ? testLinesMax : linesMax)
        ? [`has ${lines} lines: which second thing moved in?`]
        : [];
    });
  });

  test("gives every file a kebab-case name", () => {
    offenders(({ path }) => {
      const file = path.split("/").at(-1) ?? "";
      if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.test)?\.(tsx?|mjs)$/.test(file)) return ["is not kebab-case"];
      return /^(utils?|helpers?|common|misc|types|index)\./.test(file) ? ["says nothing by its name"] : [];
    });
  });

  test("has only syntax that Node can erase, and no barrels", () => {
    offenders(({ text }) => (/^export \* from/m.test(text) ? ["is a barrel"] : []));
  });
});

describe("package.json", () => {
  test("pins every dependency exactly, for npm on an older Node picks old versions without a word", () => {
    const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
      ([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
    );
    assert.deepEqual(loose, []);
  });

  test("has equal versions of protobuf and of its generator", () => {
    assert.equal(dependencies["@bufbuild/protobuf"], devDependencies["@bufbuild/protoc-gen-es"]);
  });
});

test("every decision has a number of its own, the same in its name and its title", () => {
  const folder = join(projectFolder, "docs/decisions");
  const numbers = readdirSync(folder).map((file) => {
    const [, inName] = /^(\d{4})-[a-z0-9-]+\.md$/.exec(file) ?? [];
    const [, inTitle] = /^# (\d+)\. /.exec(readFileSync(join(folder, file), "utf8")) ?? [];
    assert.equal(Number(inName), Number(inTitle), file);
    return inName;
  });
  assert.deepEqual(
    numbers.filter((number, place) => numbers.indexOf(number) !== place),
    [],
  );
});

test("the glossary defines each term once", () => {
  const text = readFileSync(join(projectFolder, "docs/GLOSSARY.md"), "utf8");
  const terms = [...text.matchAll(/^\| (?!term )([^|]+) \|/gm)].map(([, term = ""]) => term);
  assert.ok(terms.length > 50);
  assert.deepEqual(
    terms.filter((term, place) => terms.indexOf(term) !== place),
    [],
  );
});

test("the README is read in one sitting: at most 130 lines", () => {
  const lines = readFileSync(join(projectFolder, "README.md"), "utf8").split("\n").length - 1;
  assert.ok(lines <= 130, `${lines} lines`);
});

test("what is written has the field's words, not this project's own", () => {
  const problems = writtenFiles().flatMap((path) => {
    const lines = readFileSync(join(projectFolder, path), "utf8").split("\n");
    return forbiddenWords
      .filter(({ except }) => path !== except)
      .flatMap(({ word, instead }) =>
        lines.flatMap((line, index) =>
          (line.match(word) ?? []).map((found) => `${path}:${index + 1} "${found}": write ${instead}`),
        ),
      );
  });
  assert.deepEqual(problems, []);
});

function offenders(problems: (source: Source) => readonly string[]): void {
  assert.deepEqual(
    sources.flatMap((source) => problems(source).map((problem) => `${source.path} ${problem}`)),
    [],
  );
}

/** Whatever people write and read here, but for what is generated, measured or history. */
function writtenFiles(): readonly string[] {
  const tops = readdirSync(projectFolder, { withFileTypes: true });
  return tops
    .filter(({ name }) => name !== "node_modules" && (!name.startsWith(".") || name === ".env.example"))
    .flatMap((entry) =>
      entry.isDirectory()
        ? readdirSync(join(projectFolder, entry.name), { recursive: true, encoding: "utf8" }).map((file) =>
            join(entry.name, file),
          )
        : [entry.name],
    )
    .filter(
      (path) =>
        /\.(tsx?|mjs|proto|md|ya?ml|sh|template|html|go|py)$|^\.env\.example$/.test(path) &&
        !/^(proto\/gen|rpc\/proto|bench\/results|dashboard\/dist|docs\/pictures)\/|^CHANGELOG\.md$|\/node_modules\//.test(
          path,
        ) &&
        path !== "test/forbidden-words.ts",
    );
}

function isAllowed(name: string, folder: string, isTest: boolean): boolean {
  if (name.startsWith("node:") || name.startsWith(".")) return true;
  const allowed = mayImport[folder] ?? [];
  if (allowed.includes(anything)) return true;
  if (isPackage(name)) return isTest || allowed.some((pattern) => matches(toPackage(name), pattern));
  const target = name.slice(1).split("/")[0] ?? "";
  if (target === folder) return true;
  if (allowed.includes(target)) return true;
  // The dashboard is tested on a real gateway.
  return isTest && (!programs.has(target) || (folder === "dashboard" && target === "gateway"));
}

function code(text: string): string {
  return text.replaceAll(/\/\*.*?\*\/|^\s*\/\/.*$/gms, "");
}

function matches(name: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

function isPackage(name: string): boolean {
  return !/^(node:|\.|#)/.test(name);
}

function toPackage(name: string): string {
  return name
    .split("/")
    .slice(0, name.startsWith("@") ? 2 : 1)
    .join("/");
}

function toTopFolder(path: string): string {
  return path.split("/")[0] ?? path;
}

function sourcesIn(top: string): readonly Source[] {
  if (!existsSync(join(projectFolder, top))) return [];
  return readdirSync(join(projectFolder, top), { recursive: true, encoding: "utf8" })
    .filter((file) => /\.(tsx?|mjs)$/.test(file))
    .map((file) => {
      const path = join(top, file);
      const folder = Object.keys(mayImport).findLast((name) => path.startsWith(`${name}/`)) ?? top;
      const text = readFileSync(join(projectFolder, path), "utf8");
      // Test support of one folder lies in its testing/.
      const isTest = /\.test\.ts$|(^|\/)testing\//.test(file);
      const found = text.matchAll(
        /^(?:import|export)\s+(?:[\w*{][^"';]*?\sfrom\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/gm,
      );
      return {
        path,
        folder,
        isTest,
        text,
        imports: [...found].map(([, fixed, late]) => fixed ?? late ?? ""),
      };
    });
}
