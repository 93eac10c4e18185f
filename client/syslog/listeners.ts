import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer, type TlsOptions } from "node:tls";
import { InputError } from "#client/files/read-inputs.ts";
import { FrameSplitter, type SyslogFrame } from "./frame-splitter.ts";
import { describeAddress, type ListenAddress } from "./listen-address.ts";

/** Takes one message; `await` it before the next one of the same connection. */
type Receive = (frame: SyslogFrame, from: string) => Promise<void>;

export interface ListenerOptions {
  readonly messageBytesMax: number;
  /** Of all TCP and TLS listeners together; further ones are closed at once. */
  readonly connectionsMax: number;
  /** A handshake of TLS, and a message from its first byte to its last, may take this long; default 30 s. */
  readonly peerTimeoutMs?: number;
  /** For `tls://`. */
  readonly tls?: TlsOptions | undefined;
  readonly receive: Receive;
  /** Takes a datagram at once, or drops and counts it. */
  readonly receiveDatagram: (frame: SyslogFrame, from: string) => void;
  readonly onProblem: (problem: string) => void;
}

export interface Listeners {
  /** As bound: with the port of a `:0`. */
  readonly addresses: readonly ListenAddress[];
  /** Accepts nothing more, and ends all connections; what they sent before is taken if it was read. */
  close(): Promise<void>;
}

/** The kernel keeps this many bytes of datagrams while the process is busy; it may grant less. */
const datagramBufferBytes = 4 * 1024 * 1024;

const defaultPeerTimeoutMs = 30_000;

/** A silent connection is probed after this long: that of a peer that is gone ends some minutes later. */
const keepAliveMs = 60_000;

/** Opens all listeners. Throws an InputError for the first that cannot listen, and closes the others. */
export async function openListeners(
  addresses: readonly ListenAddress[],
  options: ListenerOptions,
): Promise<Listeners> {
  await using opening = new AsyncDisposableStack();
  const connections = new Set<Socket>();
  const bound: ListenAddress[] = [];
  for (const address of addresses) {
    try {
      const isDatagram = address.protocol === "udp";
      const opened = isDatagram
        ? await openDatagrams(address, options)
        : await openStreams(address, options, connections);
      opening.defer(() => opened.close());
      bound.push({ ...address, port: opened.port });
    } catch (error) {
      throw new InputError(`cannot listen on ${describeAddress(address)}: ${(error as Error).message}`);
    }
  }
  const opened = opening.move();
  return { addresses: bound, close: () => opened.disposeAsync() };
}

interface Opened {
  readonly port: number;
  readonly close: () => Promise<void>;
}

async function openDatagrams({ host, port }: ListenAddress, options: ListenerOptions): Promise<Opened> {
  const socket = await bindDatagrams(host, port);
  socket.on("message", (bytes, { address }) => {
    const { messageBytesMax } = options;
    const frame =
      bytes.length > messageBytesMax
        ? { bytes: bytes.subarray(0, messageBytesMax), cutFrom: bytes.length }
        : { bytes };
    options.receiveDatagram(frame, address);
  });
  socket.on("error", (error) => options.onProblem(`udp: ${error.message}`));
  try {
    socket.setRecvBufferSize(datagramBufferBytes);
  } catch {
    // the kernel's own size holds then
  }
  return {
    port: socket.address().port,
    close: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** All addresses: those of IPv6, which include IPv4, where the machine has it. */
async function bindDatagrams(host: string, port: number): Promise<DatagramSocket> {
  const bind = async (type: "udp4" | "udp6", address: string) => {
    const socket = createSocket(type);
    socket.bind(port, address);
    await once(socket, "listening"); // rejects with an error
    return socket;
  };
  if (host !== "") return bind(host.includes(":") ? "udp6" : "udp4", host);
  try {
    return await bind("udp6", "::");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EAFNOSUPPORT") throw error;
    return bind("udp4", "0.0.0.0");
  }
}

async function openStreams(
  { protocol, host, port }: ListenAddress,
  options: ListenerOptions,
  connections: Set<Socket>,
): Promise<Opened> {
  const onConnection = (socket: Socket): void => {
    socket.on("error", () => {}); // "close" follows
    if (connections.size >= options.connectionsMax) {
      options.onProblem(`a connection is refused: ${options.connectionsMax} are open, the limit`);
      socket.destroy();
      return;
    }
    connections.add(socket);
    socket.setKeepAlive(true, keepAliveMs);
    socket.once("close", () => connections.delete(socket));
    if (protocol !== "tls") void readMessages(socket, options);
  };
  const onHandshake = (socket: Socket): void => {
    socket.on("error", () => {});
    void readMessages(socket, options);
  };
  const server: Server =
    protocol === "tls"
      ? createTlsServer(
          { handshakeTimeout: options.peerTimeoutMs ?? defaultPeerTimeoutMs, ...options.tls },
          onHandshake,
        )
      : createServer();
  // Those of TLS too that have not finished, nor begun, their handshake.
  server.on("connection", onConnection);
  server.on("tlsClientError", (error: Error, socket: Socket) => {
    socket.destroy(); // Node leaves it open after a timeout
    options.onProblem(`a TLS handshake failed: ${error.message}`);
  });
  server.listen(port, host || undefined);
  await once(server, "listening");
  server.on("error", (error) => options.onProblem(`${protocol}: ${error.message}`));
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : port,
    async close() {
      const closed = once(server, "close");
      server.close();
      for (const socket of connections) socket.destroy();
      await closed;
    },
  };
}

/**
 * Reads a connection to its end. It is read on only when the last message was taken: that is the backpressure. A message
 * that does not end in time is taken as far as it came, and the connection is closed.
 */
async function readMessages(
  socket: Socket,
  { messageBytesMax, peerTimeoutMs = defaultPeerTimeoutMs, receive, onProblem }: ListenerOptions,
): Promise<void> {
  const from = socket.remoteAddress ?? "";
  const splitter = new FrameSplitter(messageBytesMax);
  let isDueAtMs = 0;
  let deadline: NodeJS.Timeout | undefined;
  const takeAll = async (frames: Iterable<SyslogFrame>): Promise<number> => {
    let count = 0;
    for (const frame of frames) {
      await receive(frame, from);
      count += 1;
    }
    return count;
  };
  try {
    for await (const piece of socket as AsyncIterable<Buffer>) {
      clearTimeout(deadline);
      const wasWithinMessage = splitter.isWithinMessage;
      const count = await takeAll(splitter.add(piece));
      if (!splitter.isWithinMessage) continue;
      // Behind other messages it begins now: that the server took so long is not the peer's delay.
      if (count > 0 || !wasWithinMessage) isDueAtMs = performance.now() + peerTimeoutMs;
      deadline = setTimeout(
        () => socket.destroy(new Error(`a message did not end within ${peerTimeoutMs} ms`)),
        isDueAtMs - performance.now(),
      );
    }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const isUsual = code === "ECONNRESET" || (socket.destroyed && code !== undefined);
    if (!isUsual) onProblem(`${from}: ${message}`);
    socket.destroy();
  }
  clearTimeout(deadline);
  // The last message is as it came, however the connection ended.
  await takeAll(splitter.finish()).catch((error: Error) => onProblem(`${from}: ${error.message}`));
}
