import { createServer, isIPv6 } from "node:net";
import { StartError } from "./child.ts";

/**
 * Holds the port until Nginx binds it: the programs that start before listen on any free port, and the
 * system may assign 50051. Throws {@link PortInUseError} when another program has it, StartError when this
 * machine cannot listen there.
 */
export async function reservePort(host: string, port: number, variable: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(portProblem(error, host, port, variable)));
    server.listen(port, host, resolve);
  });
  server.unref(); // a start that fails is not to wait for it
  return server;
}

export class PortInUseError extends StartError {}

function portProblem({ code }: NodeJS.ErrnoException, host: string, port: number, variable: string) {
  const isTls = variable === "TLS_LISTEN";
  const other = (next: number) =>
    `choose another: ${variable}=${isTls ? `${isIPv6(host) ? `[${host}]` : host}:${next}` : next} npm start`;
  if (code === "EADDRINUSE") {
    const next = port < 65_535 ? port + 1 : port - 1;
    return new PortInUseError(`Port ${port} is in use by another program. Stop it, or ${other(next)}`);
  }
  if (code === "EACCES")
    return new StartError(`Port ${port} is for root only (EACCES): ${other(port + 8_000)}`);
  const hint = "Use 127.0.0.1, 0.0.0.0 for all of its addresses, or one of them.";
  const setting = isTls ? variable : "FLEETLOG_HOST";
  return new StartError(`${setting}: this machine cannot listen on ${host} (${code}). ${hint}`);
}
