import { createServer } from "node:net";
import { checkBinaries } from "#doctor/check-binaries.ts";
import { checkDisk, checkNode } from "#doctor/check-machine.ts";
import { type Finding, fail, ok } from "#doctor/finding.ts";
import { readOptions } from "#doctor/options.ts";
import { jsonReport, textReport, toExitCode } from "#doctor/report.ts";
import { type BinaryName, findBinary, MissingBinaryError } from "./binaries.ts";
import { binariesFolder, projectFolder, stateFolder as usualFolder } from "./folders.ts";
import { readNotes } from "./notes.ts";

// `npm run doctor` checks what `npm start` runs in this folder, or what DATABASE_URL and REDIS_URL name.
// When nothing runs, it checks the requirements of a start.

const { json } = readOptions();
const notes = await readNotes(process.env.FLEETLOG_FOLDER || usualFolder);
if (notes || (process.env.DATABASE_URL && process.env.REDIS_URL)) {
  if (notes) process.env.DOCTOR_BINARIES ||= binariesFolder;
  for (const [name, value] of Object.entries(notes ?? {})) process.env[name] ||= value;
  await import("#doctor/main.ts");
} else {
  const findings = [
    checkNode(),
    await checkDisk(projectFolder),
    await checkBinary("redis", "Redis"),
    await checkBinary("nginx", "Nginx"),
    ...(await checkBinaries(binariesFolder)),
    await checkPort("FLEETLOG_HTTP_PORT", 8080),
    await checkPort("FLEETLOG_GRPC_PORT", 50_051),
  ];
  if (!json) process.stdout.write("Nothing is running in this folder. To start:\n\n");
  process.stdout.write(json ? jsonReport(findings) : textReport(findings));
  process.exitCode = toExitCode(findings);
}

async function checkBinary(name: BinaryName, title: string): Promise<Finding> {
  try {
    const { command, from } = await findBinary(name);
    return ok(`${title} found`, from === "PATH" ? command : `${command}, fetched`);
  } catch (error) {
    if (!(error instanceof MissingBinaryError)) throw error;
    return fail(`${title} found`, "no", error.message);
  }
}

async function checkPort(variable: string, usual: number): Promise<Finding> {
  const port = Number(process.env[variable] || usual);
  const host = (process.env.FLEETLOG_HOST || "127.0.0.1").replace(/^\[(.*)\]$/, "$1");
  const server = createServer();
  const reason = await new Promise<string>((resolve) => {
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen(port, host, () => resolve(""));
  });
  server.close();
  if (reason === "") return ok(`port ${port}`, "free");
  return fail(
    `port ${port}`,
    reason,
    `Stop the program that listens there, or choose another port: ${variable}=${port + 1} npm start.`,
  );
}
