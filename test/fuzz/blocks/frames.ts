import { connect } from "node:net";
import type { Random } from "#batch/testing/random.ts";
import type { Block, BlockRun } from "../block.ts";
import { frameType, preface, readFrames, settings } from "../http2-frames.ts";
import { randomFrames } from "../random-frames.ts";
import type { Target } from "../target.ts";

export const frames: Block = {
  name: "frames",
  title: "HTTP/2 frames that no client library writes, to Node and to Nginx",
  countFull: 20_000,
  countSmoke: 150,
  workers: 8,
  start: async ({ system }) => new FramesRun(system),
};

class FramesRun implements BlockRun {
  readonly #listeners: readonly (readonly [name: string, address: string])[];

  constructor({ servers, nginx }: Target["system"]) {
    const own = servers.flatMap(({ addresses }) => Object.entries(addresses));
    this.#listeners = [
      ...own.filter(([listener]) => listener !== "admin"),
      ["nginx", nginx.grpc],
      ["nginx", nginx.grpc],
    ];
  }

  /** The connection has to end when we send nothing more, whatever was said before. */
  async tryOne(random: Random, _index: number, note: (what: string) => void): Promise<string> {
    const [listener, address] = random.pick(this.#listeners);
    const head = random.chance(0.97) ? preface : preface.subarray(0, random.below(preface.length));
    const bytes = Buffer.concat([
      head,
      random.chance(0.95) ? settings() : Buffer.alloc(0),
      randomFrames(random),
    ]);
    const goodbye = random.pick(["end", "end", "end", "destroy"] as const);
    note(`${listener} ${address} ${goodbye}, ${bytes.length} bytes ${bytes.toString("hex", 0, 300)}`);
    const [host, port] = address.split(":");
    const socket = connect({ host: host!, port: Number(port), noDelay: true, allowHalfOpen: true });
    const received: Buffer[] = [];
    socket.on("data", (chunk: Buffer) => received.push(chunk));
    socket.on("error", () => {}); // "close" follows: we may have been cut off in the middle
    const closed = new Promise((resolve) => socket.once("close", resolve));
    const cut = random.chance(0.3) ? random.below(bytes.length) : 0;
    if (cut > 0) socket.write(bytes.subarray(0, cut));
    socket.write(bytes.subarray(cut), () => goodbye === "destroy" && socket.destroy());
    if (goodbye === "end") socket.end();
    socket.on("end", () => socket.destroy());
    await closed;
    return `${goodbye}: ${findOutcome(Buffer.concat(received))}`;
  }

  async finish(): Promise<void> {}
}

function findOutcome(received: Buffer): string {
  if (received.toString("latin1", 0, 5) === "HTTP/") return received.toString("latin1", 0, 12);
  let outcome = received.length === 0 ? "nothing" : "frames";
  for (const { type, payload } of readFrames(received)) {
    if (type === frameType.headers) outcome = "answers";
    if (type === frameType.goaway && payload.length >= 8) return `GOAWAY ${payload.readUInt32BE(4)}`;
  }
  return outcome;
}
