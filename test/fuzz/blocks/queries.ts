import { connect } from "node:net";
import type { Random } from "#batch/testing/random.ts";
import type { Block, BlockRun } from "../block.ts";
import { randomQuery } from "../random-queries.ts";
import { readHttp1 } from "../read-http1.ts";
import { readCode } from "../response.ts";
import type { Target } from "../target.ts";

export const queries: Block = {
  name: "queries",
  title: "queries that make no sense: REST, Connect by POST and GET, absurd paths and headers",
  countFull: 20_000,
  countSmoke: 250,
  workers: 4,
  start: async ({ system }) => new QueriesRun(system),
};

class QueriesRun implements BlockRun {
  readonly #addresses: readonly string[];

  constructor({ gateway, nginx }: Target["system"]) {
    this.#addresses = [gateway.addresses.http ?? "", nginx.http];
  }

  /** On a socket, for no HTTP client would send all of it. */
  async tryOne(random: Random, _index: number, note: (what: string) => void): Promise<string> {
    const address = random.pick(this.#addresses);
    const request = randomQuery(random);
    note(`${address === this.#addresses[0] ? "gateway" : "nginx"} ${JSON.stringify(request)}`);
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port), noDelay: true });
    const received: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.on("error", () => {}); // "close" follows: we may have been cut off in the middle
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.write(request, "latin1");
    // What is not whole would be waited for; what is gets its answer through Nginx only while we stay.
    if (!isWhole(request)) socket.end();
    await closed;
    return readCode(readHttp1(Buffer.concat(received)));
  }

  async finish(): Promise<void> {}
}

function isWhole(request: string): boolean {
  const [head = "", body = ""] = request.split(/\r\n\r\n([^]*)/);
  const length = /^Content-Length: (.*)$/m.exec(head)?.[1]?.trim() ?? "0";
  return length === String(body.length) && !/^(Transfer-Encoding|Expect)/m.test(head);
}
