import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { waitFor } from "#test/support/wait-for.ts";
import { createFixture, makeEntry, records, startConsumer } from "../testing/fixture.ts";

/**
 * A proxy between the consumer and PostgreSQL. Forwards the first `count` COMMITs and breaks the connection instead of
 * forwarding their replies.
 */
async function loseCommitAnswers(databaseUrl: string, count: number) {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let lost = 0;
  const server = createServer((client) => {
    const postgres = connect(Number(target.port), target.hostname);
    let isLosing = false;
    const end = () => {
      client.destroy();
      postgres.destroy();
    };
    for (const socket of [client, postgres]) {
      sockets.add(socket);
      socket.on("error", end);
      socket.on("close", end);
    }
    client.on("data", (bytes) => {
      isLosing ||= lost < count && bytes.includes("commit\0");
      postgres.write(bytes);
    });
    postgres.on("data", (bytes) => {
      if (!isLosing) {
        client.write(bytes);
        return;
      }
      lost += 1;
      end();
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { url: url.href, close, lost: () => lost };
}

test("stores a flush once when the reply to its COMMIT is lost, and then acknowledges it", async () => {
  await using fixture = await createFixture();
  const proxy = await loseCommitAnswers(fixture.databaseUrl, 2);
  fixture.stack.defer(proxy.close);
  const { metrics } = await startConsumer({ ...fixture, databaseUrl: proxy.url });
  await fixture.append(makeEntry(1, [...records(50), { message: "a\0b" }]));
  await waitFor("the acknowledgement", async () => (await fixture.unacknowledged()) === 0);
  assert.equal(proxy.lost(), 2);
  assert.equal(await fixture.count("records"), 50);
  assert.equal(await fixture.count("dead_letters"), 1);
  assert.deepEqual(await fixture.rows("select batch_count, record_count from devices"), [
    { batch_count: "1", record_count: "50" },
  ]);
  assert.deepEqual(await fixture.rows("select sum(record_count)::int as n from log_statistics"), [{ n: 50 }]);
  // The last attempt found the batches of the first one in the ledger.
  const { values } = await metrics.batches.get();
  assert.equal(values.find(({ labels }) => labels.outcome === "duplicate")?.value, 1);
});
