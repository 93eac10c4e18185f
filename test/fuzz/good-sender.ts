import { Client, credentials } from "@grpc/grpc-js";
import type { RunningSystem } from "#dev/system.ts";
import { encodeRequest, makeBatch, makeRecord } from "#server/testing/batches.ts";
import { pushGrpc } from "#server/testing/grpc-device.ts";
import { waitFor } from "#test/support/wait-for.ts";

const push = "/fleetlog.v1.IngestService/PushLogs";

/** A device that does everything right, by every way there is, and then finds what it sent. */
export class GoodSender {
  readonly #system: RunningSystem;
  readonly #session = `good-${process.pid}`;
  #sequence = 0;

  constructor(system: RunningSystem) {
    this.#system = system;
  }

  /** Throws when a batch is not acknowledged, or not found. */
  async sendAndFind(): Promise<void> {
    const { servers, nginx } = this.#system;
    const sent: string[] = [];
    for (const address of [nginx.grpc, ...servers.map(({ addresses }) => addresses.grpc ?? "")]) {
      sent.push(await this.#sendGrpc(address));
    }
    for (const address of [nginx.http, ...servers.map(({ addresses }) => addresses.http ?? "")]) {
      sent.push(await this.#sendConnect(address));
    }
    await waitFor("the good records to be found", async () => {
      const query = `device_id=good&session_id=${this.#session}&page_size=${sent.length}`;
      const response = await fetch(`http://${nginx.http}/v1/logs?${query}`);
      const { logs } = (await response.json()) as { logs: { message: string }[] };
      return sent.every((message) => logs.some((log) => log.message === message));
    });
  }

  async #sendGrpc(address: string): Promise<string> {
    const { message, batch } = this.#next();
    const client = new Client(address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    try {
      const ack = await pushGrpc(client, encodeRequest(batch));
      if (ack?.accepted !== 1) throw new Error(`${address}: a good batch got ${JSON.stringify(ack)}`);
    } finally {
      client.close();
    }
    return message;
  }

  async #sendConnect(address: string): Promise<string> {
    const { message, batch } = this.#next();
    const response = await fetch(`http://${address}${push}`, {
      method: "POST",
      headers: { "content-type": "application/proto" },
      body: encodeRequest(batch) as Uint8Array<ArrayBuffer>,
    });
    if (response.status !== 200) throw new Error(`${address}: a good batch got ${await response.text()}`);
    return message;
  }

  #next() {
    this.#sequence += 1;
    const message = `good ${this.#sequence}`;
    const records = [makeRecord(message)];
    return {
      message,
      batch: makeBatch(this.#sequence, { deviceId: "good", sessionId: this.#session, records }),
    };
  }
}
