import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { test } from "node:test";
import { Severity } from "#proto/gen/fleetlog/v1/log_pb.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { follow } from "./testing/follow.ts";
import { startTailedGateway } from "./testing/tailed-gateway.ts";

test("a client that does not read learns how many records it missed; others miss none, and memory is bounded", async (t) => {
  const ringBytesMax = 4 << 20;
  const { gateway, append } = await startTailedGateway(t, { ringBytesMax });
  const slow = await openUnread(gateway.port, "/v1/tail?min_severity=INFO");
  t.after(() => slow.destroy());
  const quick = follow(t, gateway.url, { filter: { minSeverity: Severity.INFO } });
  await quick.untilFollowing();
  const text = "x".repeat(10_000);
  const wanted = 3000;
  // In each batch one of three records does not match, and so is neither sent nor counted as skipped.
  for (let n = 1; n <= wanted / 2; n += 1) {
    const record = { severity: Severity.INFO, message: text };
    await append(`d-${n % 3}`, n, [record, { ...record, severity: Severity.DEBUG }, record]);
    if (n % 25 === 0) await quick.untilCount(n * 2);
  }
  await quick.untilCount(wanted);
  assert.equal(quick.logs().length, wanted);
  assert.ok(!quick.events().includes("skipped"));

  let received = "";
  slow.setEncoding("utf8");
  slow.on("data", (chunk: string) => (received += chunk));
  slow.resume();
  const skipped = () =>
    [...received.matchAll(/"skipped":\{"recordCount":"(\d+)"\}/g)].reduce((sum, [, n]) => sum + Number(n), 0);
  const sent = () => received.split('"deviceId":').length - 1;
  await waitFor("all to be sent or skipped", () => sent() + skipped() >= wanted);
  assert.equal(sent() + skipped(), wanted);
  assert.ok(skipped() > 0);
  // Of 45 MB the ring had the last 4, and this machine's sockets a few.
  assert.ok(sent() < wanted / 2, `${sent()} sent`);
});

/** A request whose response is not read, as when a laptop was closed. */
async function openUnread(port: number, path: string): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  await once(socket, "connect");
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
  await once(socket, "readable");
  return socket;
}
