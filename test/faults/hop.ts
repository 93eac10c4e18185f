import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** "up" is from the client to the server behind the hop. */
export type Direction = "up" | "down";

/** One connection through a hop. */
export interface Link {
  readonly number: number;
  /** Resets both sides; bytes in flight are lost. */
  cut(): void;
}

/** One piece on its way, as the system gave it to us. */
export interface Piece {
  readonly link: Link;
  readonly direction: Direction;
  readonly bytes: Buffer;
  /** Forwards bytes in the direction of the piece. Resolves when there is capacity for more. */
  readonly pass: (bytes: Buffer) => Promise<void>;
}

/** Handles each piece; the next piece of the same direction and link waits for it. */
export type Filter = (piece: Piece) => Promise<void> | void;

/**
 * A TCP proxy between two parts of the system, which passes everything on until it has to misbehave. It knows no
 * protocol; filters that look for a command find it because each client sends it in one write.
 */
export class Hop {
  readonly port: number;
  readonly #server: Server;
  readonly #links = new Map<Link, readonly [Socket, Socket]>();
  #target: number;
  #filter: Filter | undefined;
  #opened = 0;

  /** Listens on a free loopback port before the loopback port `target`. */
  static async before(target: number): Promise<Hop> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    return new Hop(server, target);
  }

  private constructor(server: Server, target: number) {
    this.#server = server;
    this.#target = target;
    this.port = (server.address() as AddressInfo).port;
    server.on("connection", (client) => this.#open(client));
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** Connections so far. */
  get opened(): number {
    return this.#opened;
  }

  /** Connections that are open now. */
  get openCount(): number {
    return this.#links.size;
  }

  /** Connections from now on go to another port. */
  retarget(port: number): void {
    this.#target = port;
  }

  /** Everything goes through `filter`, on open connections too; undefined: nothing happens to it. */
  tamper(filter: Filter | undefined): void {
    this.#filter = filter;
  }

  /** Resets every open connection; returns how many there were. */
  cutAll(): number {
    const links = [...this.#links.keys()];
    for (const link of links) link.cut();
    return links.length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    this.cutAll();
    await Promise.resolve();
  }

  #open(client: Socket): void {
    const server = connect(this.#target, "127.0.0.1");
    const link: Link = { number: ++this.#opened, cut: () => reset(client, server) };
    this.#links.set(link, [client, server]);
    for (const socket of [client, server]) {
      socket.setNoDelay(true);
      socket.on("error", () => link.cut()); // one side broke: so does the other
      socket.on("close", () => {
        link.cut();
        this.#links.delete(link);
      });
    }
    this.#carry(client, server, link, "up").catch(() => link.cut());
    this.#carry(server, client, link, "down").catch(() => link.cut());
  }

  async #carry(from: Socket, to: Socket, link: Link, direction: Direction): Promise<void> {
    const pass = async (bytes: Buffer): Promise<void> => {
      if (to.destroyed || to.write(bytes)) return;
      await Promise.race([once(to, "drain"), once(to, "close")]);
    };
    for await (const bytes of from as AsyncIterable<Buffer>) {
      if (this.#filter) await this.#filter({ link, direction, bytes, pass });
      else await pass(bytes);
    }
    to.end();
  }
}

/**
 * A socket that is being shut down cannot be reset any more; Node 24 then forgets to close it, and waits for it for
 * ever when the process ends.
 */
function reset(...sockets: readonly Socket[]): void {
  for (const socket of sockets) {
    if (socket.destroyed) continue;
    if (socket.connecting || socket.writableEnded) socket.destroy();
    else socket.resetAndDestroy();
  }
}
