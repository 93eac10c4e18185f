import { rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { relative } from "node:path";

/** Thrown when another process holds the folder; `pid` is that process. */
export class FolderInUseError extends Error {
  override readonly name = "FolderInUseError";
  readonly pid: number;

  constructor(pid: number) {
    super(
      `Fleetlog already runs in this folder, as process ${pid}. Stop it with Ctrl-C there, or: kill ${pid}`,
    );
    this.pid = pid;
  }
}

/**
 * Holds `folder` for this process by a listening socket in it: unlike a file with a pid, it can be asked whether its
 * owner lives, and the system closes it however the owner ends.
 */
export async function lockFolder(folder: string): Promise<AsyncDisposable> {
  const path = relative(process.cwd(), `${folder}/lock`); // a socket's path is at most about 100 bytes
  for (let attempt = 1; ; attempt += 1) {
    const server = createServer((socket) => {
      socket.on("error", () => {}); // who asked does not wait for the answer
      socket.end(String(process.pid));
    });
    try {
      await listenOn(server, path);
      return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EADDRINUSE" || attempt === 5) throw error;
    }
    const owner = await ownerOf(path);
    if (owner !== undefined) throw new FolderInUseError(owner);
    rmSync(path, { force: true }); // left behind by a process that was killed
  }
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
    socket.on("data", (data) => (answer += String(data)));
    socket.on("end", () => resolve(Number(answer)));
    socket.on("error", () => resolve(undefined)); // nobody listens
  });
}
