import { javaClassPath, rustPrograms, whyNoProgram } from "./support/built-clients.ts";
import { cDevice, whyNoC } from "./support/c-client.ts";
import { goClient, whyNoGo } from "./support/go-client.ts";
import { goPrograms } from "./support/go-package.ts";
import { otelCollector, otelGo, otelJs, otelPython } from "./support/otel-clients.ts";
import { pythonClient, whyNoPython } from "./support/python-client.ts";
import { packagePython } from "./support/python-package.ts";

// npm run build:clients: builds what tests compile of other languages, one after the other, so that `npm test` finds it in
// .fleetlog/clients/. Without it the tests build what they need. A build that fails is reported by its test.

const [noGo, noPython, noC, noRust, noJava] = await Promise.all([
  whyNoGo(),
  whyNoPython(),
  whyNoC(),
  whyNoProgram("cargo"),
  whyNoProgram("mvn"),
]);

interface Build {
  readonly name: string;
  readonly skip?: string | undefined;
  readonly build: () => Promise<unknown>;
}

const builds: readonly Build[] = [
  ...["go", "go-edge", "go-behave"].map((name) => ({ name, skip: noGo, build: () => goClient(name) })),
  { name: "clients/go", skip: noGo, build: goPrograms },
  { name: "otel-go", skip: noGo, build: otelGo },
  { name: "otel-collector", skip: noGo, build: otelCollector },
  ...["python", "python-behave"].map((name) => ({
    name,
    skip: noPython,
    build: () => pythonClient(name),
  })),
  { name: "clients/python", skip: noPython, build: packagePython },
  { name: "otel-python", skip: noPython, build: otelPython },
  { name: "otel-js", build: otelJs },
  { name: "clients/c", skip: noC, build: cDevice },
  { name: "rust", skip: noRust, build: rustPrograms },
  { name: "java", skip: noJava, build: javaClassPath },
];

for (const { name, skip, build } of builds) {
  const startedAt = performance.now();
  const outcome =
    skip ??
    (await build().then(
      () => "built",
      (error: Error) => `failed: ${error.message}`,
    ));
  console.log(`${name}: ${outcome}, ${Math.round((performance.now() - startedAt) / 1_000)} s`);
}
