import { follow } from "#client/follow/follow.ts";
import type { SendOptions } from "#client/send/send.ts";
import type { TestPeer } from "#client/testing/test-peer.ts";
import { waitFor } from "#test/support/wait-for.ts";

/** The messages that the peer received, each batch once, in order of arrival. */
export function toMessages(peer: TestPeer): string[] {
  const batches = new Map(peer.seen.map(({ request, messages }) => [request.toString("latin1"), messages]));
  return [...batches.values()].flat();
}

/** `fleetlog send --follow` within the test; it ends with the block. */
export function startFollowing(
  peer: TestPeer,
  options: Pick<SendOptions, "inputs" | "spool"> & Partial<SendOptions>,
) {
  const interrupt = new AbortController();
  const problems: string[] = [];
  const output = { result: () => {}, problem: (text: string) => void problems.push(text) };
  const running = follow(
    { deviceId: "host-1", address: peer.address, ...options },
    { output, signal: interrupt.signal },
  );
  running.catch(() => {});
  return {
    problems,
    running,
    received: (...messages: readonly string[]) =>
      waitFor(`${messages.length} messages of ${messages.at(-1)}`, () => {
        const seen = toMessages(peer);
        if (messages.every((message) => seen.includes(message))) return true;
        throw new Error(`seen: ${seen.join()}; ${problems.join()}`);
      }),
    stop: async () => {
      interrupt.abort();
      return running;
    },
    async [Symbol.asyncDispose]() {
      interrupt.abort();
      await running.catch(() => {});
    },
  };
}
