import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { Transform } from "node:stream";
import { listen } from "#lib/admin-server.ts";

export interface LinkOptions {
  /** Added in each direction. */
  readonly latencyMs: number;
  /** The average lifetime of a connection before it is cut without a close; undefined: never cut. */
  readonly lifetimeMs: number | undefined;
  readonly random: () => number;
}

/** The bytes in transit on a slow link, per direction. */
const onTheWayBytesMax = 1 << 20;

/** A relay to `target` that makes links as devices have them: slow, and cut in the middle of things. */
export async function startLinks(
  target: string,
  options: LinkOptions,
): Promise<{ address: string } & AsyncDisposable> {
  const [host = "127.0.0.1", port] = target.split(/:(?=\d+$)/);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true }, (near) => {
    const far = connect({ host, port: Number(port), noDelay: true });
    const cut = () => {
      near.resetAndDestroy();
      far.resetAndDestroy();
    };
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on("error", cut); // the other side sees it as its own connection breaking, which is the purpose
      socket.once("close", () => {
        sockets.delete(socket);
        other.destroy();
      });
      if (options.latencyMs === 0) socket.pipe(other);
      else socket.pipe(delay(options.latencyMs)).pipe(other);
    }
    const { lifetimeMs, random } = options;
    if (lifetimeMs === undefined) return;
    const timer = setTimeout(cut, -Math.log(1 - random()) * lifetimeMs);
    near.once("close", () => clearTimeout(timer));
  });
  const address = await listen(server, { host: "127.0.0.1", port: 0 });
  return {
    address: `${address.host}:${address.port}`,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, "close");
    },
  };
}

/** Passes everything on `ms` later, in order; holds at most {@link onTheWayBytesMax}. */
function delay(ms: number): Transform {
  let onTheWay = 0;
  return new Transform({
    transform(chunk: Buffer, _encoding, taken) {
      onTheWay += chunk.length;
      const wait = onTheWay > onTheWayBytesMax;
      setTimeout(() => {
        onTheWay -= chunk.length;
        this.push(chunk);
        if (wait) taken();
      }, ms);
      if (!wait) taken();
    },
    flush(done) {
      setTimeout(done, ms);
    },
  });
}
