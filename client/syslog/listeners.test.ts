import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { TestCa } from "#test/support/certificates.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { type ListenerOptions, openListeners } from "./listeners.ts";

async function open(protocol: "tcp" | "tls", options: Partial<ListenerOptions> = {}) {
  const messages: string[] = [];
  const problems: string[] = [];
  const listeners = await openListeners([{ protocol, host: "127.0.0.1", port: 0 }], {
    messageBytesMax: 1_000,
    connectionsMax: 2,
    tls: new TestCa().issue("server"),
    receive: async ({ bytes }) => void messages.push(String(bytes)),
    receiveDatagram: () => {},
    onProblem: (problem) => problems.push(problem),
    ...options,
  });
  return { listeners, messages, problems, port: listeners.addresses[0]?.port ?? 0 };
}

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  await once(socket, "connect");
  return socket;
}

for (const protocol of ["tcp", "tls"] as const) {
  test(`connections over ${protocol} that say nothing count, and keep no listener from closing`, async () => {
    const { listeners, problems, port } = await open(protocol);
    const silent = await Promise.all([connected(port), connected(port)]);
    const ends = silent.map((socket) => once(socket, "close"));
    const third = await connected(port);
    third.resume();
    await once(third, "close");
    assert.ok(problems.includes("a connection is refused: 2 are open, the limit"), problems.join());
    assert.ok(silent.every((socket) => !socket.closed));
    for (const socket of silent) socket.resume();
    await listeners.close();
    await Promise.all(ends);
  });
}

test("a handshake of TLS that never ends ends with its connection", async () => {
  const { listeners, problems, port } = await open("tls", { connectionsMax: 1, peerTimeoutMs: 50 });
  const silent = await connected(port);
  silent.resume();
  await once(silent, "close");
  await waitFor("the report", () => problems.some((problem) => problem.includes("TLS handshake")));
  const next = await connected(port); // there is room for it
  next.resume();
  await once(next, "close");
  assert.ok(
    problems.every((problem) => !problem.includes("refused")),
    problems.join(),
  );
  await listeners.close();
});

test("a message that never ends is taken as far as it came, and its connection ends", async () => {
  const { listeners, messages, problems, port } = await open("tcp", { peerTimeoutMs: 300 });
  const slow = await connected(port);
  slow.resume();
  const ended = once(slow, "close");
  slow.write("<14>whole\n<14>be");
  const trickle = setInterval(() => slow.write("."), 20);
  await ended;
  clearInterval(trickle);
  await waitFor("the beginning", () => messages.length === 2);
  assert.equal(messages[0], "<14>whole");
  assert.match(messages[1] ?? "", /^<14>be\.*$/);
  assert.match(problems.join(), /^127\.0\.0\.1: a message did not end within 300 ms$/);
  await listeners.close();
});

test("a connection that is silent between its messages stays, and so does one that waits for the server", async () => {
  const taken: string[] = [];
  const { promise: serverIsBack, resolve } = Promise.withResolvers<void>();
  const { listeners, problems, port } = await open("tcp", {
    peerTimeoutMs: 20,
    receive: async ({ bytes }) => {
      const text = String(bytes);
      if (text === "<14>unended") return;
      taken.push(text);
      if (taken.length === 2) await serverIsBack;
    },
  });
  /** A connection whose message began later has run out of time: the silent one would have, too. */
  const timeoutPassed = async () => {
    const unended = await connected(port);
    unended.resume();
    const ended = once(unended, "close");
    unended.write("<14>unended");
    await ended;
  };
  const socket = await connected(port);
  for (const [index, text] of ["<14>a\n", "<14>b\n<14>", "c\n"].entries()) {
    socket.write(text);
    await waitFor("the message", () => taken.length > Math.min(index, 1));
    await timeoutPassed();
  }
  resolve();
  await waitFor("the last message", () => taken.length === 3);
  assert.deepEqual([taken, socket.destroyed], [["<14>a", "<14>b", "<14>c"], false]);
  // Only those of the unended messages.
  assert.deepEqual(problems, Array(3).fill("127.0.0.1: a message did not end within 20 ms"));
  await listeners.close();
});

test("the last message of a broken connection is taken, or it is reported why not", async () => {
  const taken: string[] = [];
  const { listeners, problems, port } = await open("tcp", {
    receive: async ({ bytes }) => {
      if (String(bytes).includes("refused")) throw new Error("the stream failed");
      taken.push(String(bytes));
    },
  });
  for (const last of ["kept", "refused"]) {
    const socket = await connected(port);
    socket.write(`<14>first\n<14>${last}`);
    await waitFor("the first message", () => taken.some((text) => /first/.test(text)));
    taken.length = 0;
    socket.resetAndDestroy();
    await waitFor("the last one", () => taken.length + problems.length > 0);
  }
  assert.match(problems.join(), /^127\.0\.0\.1: the stream failed$/);
  await listeners.close();
});
