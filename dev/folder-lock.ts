import { closeSync, constants, openSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { basename, dirname, join, relative } from "node:path";
import { StartError } from "./child.ts";

const answerMsMax = 5_000;

/** Thrown when another process holds the folder; `pid` is that process, NaN when it does not answer. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  readonly pid: number;

  constructor(pid: number) {
    super(
      Number.isNaN(pid)
        ? "Fleetlog already runs in this folder and does not answer: its process is stopped or hangs. Let it go on, or end it."
        : `Fleetlog already runs in this folder, as process ${pid}. Stop it with Ctrl-C there, or: kill ${pid}`,
    );
    this.pid = pid;
  }
}

/**
 * Holds `folder` for this process by a listening socket in it: unlike a file with a pid, it can be asked whether its
 * owner lives, and the system closes it however the owner ends.
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const file = join(folder, "lock");
  const { path, close } = shortPath(file);
  for (let attempt = 1; ; attempt += 1) {
    const server = createServer((socket) => {
      socket.on("error", () => {}); // who asked does not wait for the answer
      socket.end(String(process.pid));
    });
    try {
      await listenOn(server, path);
      const closed = () => new Promise<void>((resolve) => server.close(() => resolve()));
      return { [Symbol.asyncDispose]: () => closed().finally(close) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === 5) throw error;
    }
    const owner = await ownerOf(path);
    if (owner !== undefined) throw new FolderInUseError(owner);
    rmSync(file, { force: true }); // left behind by a process that was killed
  }
}

/** A socket's path is at most this many bytes on Linux, and 4 less on macOS. */
const pathBytesMax = 103;

/** The same file by a path that is short enough for a socket. Throws when there is none. */
function shortPath(file: string): { readonly path: string; readonly close: () => void } {
  const short = [relative(process.cwd(), file), file].find((path) => Buffer.byteLength(path) <= pathBytesMax);
  if (short !== undefined) return { path: short, close: () => {} };
  if (process.platform !== "linux") {
    throw new StartError(
      `${file} is ${Buffer.byteLength(file)} bytes long, a socket's path at most ${pathBytesMax}: choose a shorter folder with FLEETLOG_FOLDER.`,
    );
  }
  const folder = openSync(dirname(file), constants.O_RDONLY | constants.O_DIRECTORY);
  return { path: `/proc/self/fd/${folder}/${basename(file)}`, close: () => closeSync(folder) };
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
}

function ownerOf(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(path);
    socket.setTimeout(answerMsMax, () => {
      resolve(Number.NaN); // it lives and hangs
      socket.destroy();
    });
    socket.on("data", (data) => (answer += String(data)));
    socket.on("end", () => resolve(Number(answer)));
    socket.on("error", () => resolve(undefined)); // nobody listens
  });
}
