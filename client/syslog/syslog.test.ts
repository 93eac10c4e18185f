import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { mkdtemp, rm } from "node:fs/promises";
import { connect } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { connect as connectTls } from "node:tls";
import { execa } from "execa";
import { runSyslogAgent, type SyslogAgentOptions } from "#client/syslog/syslog-agent.ts";
import { StoredLogs } from "#client/testing/stored-logs.ts";
import { TestCa } from "#test/support/certificates.ts";
import { startSystem, type TestSystem } from "#test/support/system.ts";
import { waitFor } from "#test/support/wait-for.ts";
import { toDeviceId } from "./device-senders.ts";
import { parseListenAddresses } from "./listen-address.ts";

let system: TestSystem;
let stored: StoredLogs;
before(async () => {
  system = await startSystem({ servers: 1 });
  stored = new StoredLogs(system.databaseUrl);
});
after(async () => {
  await stored?.[Symbol.asyncDispose]();
  await system?.[Symbol.asyncDispose]();
});

/** An agent on free ports; `ports` has them in the order of `listen`. */
async function startAgent(listen: string, options: Partial<SyslogAgentOptions> = {}) {
  const stop = new AbortController();
  const results: string[] = [];
  const problems: string[] = [];
  const ended = runSyslogAgent(
    {
      listen: parseListenAddresses(listen),
      address: system.grpcAddress,
      keepUntil: "accepted",
      devicesMax: 10,
      pendingBytesMax: 16 * 1024 * 1024,
      connectionsMax: 100,
      zone: "UTC",
      ...options,
    },
    {
      output: { result: (text) => results.push(text), problem: (text) => problems.push(text) },
      signal: stop.signal,
    },
  );
  const count = listen.split(",").length;
  await waitFor("the listeners", () => results.length === count);
  return {
    ports: results.map((line) => Number(line.split(":").at(-1))),
    results,
    problems,
    stop: () => {
      stop.abort();
      return ended;
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}

async function sendUdp(port: number, ...messages: readonly string[]): Promise<void> {
  const socket = createSocket("udp4");
  await Promise.all(
    messages.map((text) => new Promise((resolve) => socket.send(text, port, "127.0.0.1", resolve))),
  );
  socket.close();
}

function logger(text: string, ...args: readonly string[]) {
  return execa("logger", ["-n", "127.0.0.1", "-t", "app", "-p", "local0.err", "--id=42", ...args, text]);
}

function sendTcp(port: number, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.end(text));
    socket.on("close", () => resolve());
    socket.on("error", reject);
    socket.resume();
  });
}

describe("fleetlog syslog stores what real senders send", () => {
  test("logger of util-linux, in both forms, over UDP and TCP", async () => {
    await using agent = await startAgent("udp://127.0.0.1:0,tcp://127.0.0.1:0");
    const [udp, tcp] = agent.ports;
    const device = toDeviceId(hostname().split(".")[0]!);
    await logger("one", "-d", "-P", String(udp), "--rfc3164");
    const sd = ["--msgid", "boot", "--sd-id", "x@1", "--sd-param", 'y="z"'];
    await logger("two", "-d", "-P", String(udp), "--rfc5424", ...sd);
    await logger("three", "-T", "-P", String(tcp), "--octet-count");
    await logger("four", "-T", "-P", String(tcp), "--rfc3164");
    const records = await stored.toRecords(device, 4);
    const found = new Map(records.map((record) => [record.message, record]));
    assert.deepEqual(new Set(found.keys()), new Set(["four", "one", "three", "two"]));
    for (const { severity, time, attributes } of records) {
      assert.equal(severity, 17);
      assert.equal(attributes["facility"], "local0");
      assert.equal(attributes["process_id"], 42);
      assert.ok(Math.abs(time.getTime() - Date.now()) < 120_000, String(time));
    }
    assert.equal(found.get("two")?.attributes["x@1.y"], "z");
  });

  test("Python's SysLogHandler, which names no host: the device is its address", async () => {
    await using agent = await startAgent("udp://127.0.0.1:0,tcp://127.0.0.1:0");
    const [udp, tcp] = agent.ports;
    const program = `
import logging, logging.handlers, socket
for port, kind in ((${udp}, socket.SOCK_DGRAM), (${tcp}, socket.SOCK_STREAM)):
    handler = logging.handlers.SysLogHandler(("127.0.0.1", port), facility="local1", socktype=kind)
    handler.append_nul = kind == socket.SOCK_DGRAM
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s" + ("" if kind == socket.SOCK_DGRAM else "\\n")))
    logger = logging.getLogger(f"app.{kind.name}")
    logger.addHandler(handler)
    logger.warning("grün %d", 7)
    handler.close()
`;
    await execa("python3", ["-c", program]);
    const records = await stored.toRecords("127.0.0.1", 2);
    assert.deepEqual(
      records.map(({ message, severity, attributes }) => [message, severity, attributes["facility"]]),
      [
        ["grün 7", 13, "local1"],
        ["grün 7", 13, "local1"],
      ],
    );
  });

  test("TLS, with client certificates where they are required", async () => {
    const ca = new TestCa();
    const server = ca.issue("server");
    const client = ca.issue("device");
    await using agent = await startAgent("tls://127.0.0.1:0", {
      tls: { cert: server.cert, key: server.key, ca: ca.cert, requestCert: true, rejectUnauthorized: true },
    });
    const send = (options: { cert?: string; key?: string }) =>
      new Promise<void>((resolve) => {
        const socket = connectTls(
          {
            host: "127.0.0.1",
            port: agent.ports[0],
            ca: ca.cert,
            checkServerIdentity: () => undefined,
            ...options,
          },
          () => socket.end("<14>Nov 27 17:01:02 tls-host app: over TLS\n"),
        );
        socket.on("close", () => resolve());
        socket.on("error", () => {});
        socket.resume();
      });
    await send({});
    await send({ cert: client.cert, key: client.key });
    const records = await stored.toRecords("tls-host", 1);
    assert.deepEqual(
      records.map(({ message }) => message),
      ["over TLS"],
    );
  });
});

test("a message longer than a record may be is cut, and says so; its neighbours are whole", async () => {
  await using agent = await startAgent("tcp://127.0.0.1:0");
  await sendTcp(agent.ports[0]!, `<14>1 - long a - - - ${"m".repeat(100_000)}\n<14>1 - long a - - - next\n`);
  const [first, second] = await stored.toRecords("long", 2);
  assert.equal(first?.attributes["cut_from_bytes"], 100_021);
  assert.equal(second?.message, "next");
});

test("more hostnames than are allowed at once are stored as one device, with their names", async () => {
  await using agent = await startAgent("udp://127.0.0.1:0", { devicesMax: 2 });
  await sendUdp(agent.ports[0]!, ...[1, 2, 3, 4].map((host) => `<14>1 - many-${host} a - - - x`));
  const records = await stored.toRecords("syslog", 2);
  assert.deepEqual(
    new Set(records.map(({ attributes }) => attributes["host"])),
    new Set(["many-3", "many-4"]),
  );
});

test("one device for all keeps the hostnames", async () => {
  await using agent = await startAgent("tcp://127.0.0.1:0", { deviceId: "site-1" });
  await sendTcp(agent.ports[0]!, "<14>1 - a.example a - - - x\n<14>1 - größe a - - - y\n");
  const records = await stored.toRecords("site-1", 2);
  assert.deepEqual(
    records.map(({ attributes }) => attributes["host"]),
    ["a.example", "größe"],
  );
});

test("beyond the connections allowed, further ones are closed", async () => {
  await using agent = await startAgent("tcp://127.0.0.1:0", { connectionsMax: 1 });
  const first = connect(agent.ports[0]!, "127.0.0.1");
  await new Promise((resolve) => first.once("connect", resolve));
  first.write("<14>1 - conn a - - - first\n");
  await stored.toRecords("conn", 1);
  await sendTcp(agent.ports[0]!, "").catch(() => {});
  await waitFor("the refusal", () => agent.problems.some((text) => text.includes("1 are open, the limit")));
  first.end("<14>1 - conn a - - - still there\n");
  await stored.toRecords("conn", 2);
});

test("with a spool nothing is lost while Fleetlog is down, nor when the agent ends meanwhile", async (t) => {
  const spool = await mkdtemp(join(tmpdir(), "fleetlog-syslog-"));
  t.after(() => rm(spool, { recursive: true, force: true }));
  const nowhere = { spool, address: "127.0.0.1:1" };
  const agent = await startAgent("tcp://127.0.0.1:0", nowhere);
  await sendTcp(agent.ports[0]!, "<14>1 - spooled a - - - one\n<14>1 - .. a - - - two\n");
  await waitFor("both messages", () => agent.problems.some((text) => text.includes("no connection")));
  assert.equal(await agent.stop(), 0);
  assert.match(agent.results.at(-1) ?? "", /2 messages received.*2 batches kept in/);

  await using next = await startAgent("tcp://127.0.0.1:0", { spool });
  assert.equal((await stored.toRecords("spooled", 1))[0]?.message, "one");
  assert.equal((await stored.toRecords("..", 1))[0]?.message, "two");
  assert.deepEqual(next.problems, []);
});

test("while Fleetlog is down, TCP senders wait and datagrams are dropped, counted and logged", async () => {
  const agent = await startAgent("udp://127.0.0.1:0,tcp://127.0.0.1:0", {
    address: "127.0.0.1:1",
    pendingBytesMax: 1,
  });
  const [udp = 0, tcp = 0] = agent.ports;
  const sender = connect(tcp, "127.0.0.1");
  const line = `<14>1 - slow a - - - ${"m".repeat(8_000)}\n`;
  let isBlocked = false;
  const write = () => {
    for (let lines = 0; lines < 100; lines += 1) isBlocked = !sender.write(line);
    if (sender.writableLength < 4 * 1024 * 1024) setImmediate(write);
  };
  sender.on("error", () => {});
  write();
  await waitFor("the sender to wait", () => isBlocked && sender.writableLength > 4 * 1024 * 1024);
  const datagram = `<14>1 - fast a - - - ${"m".repeat(50_000)}`;
  await waitFor(
    "a report of dropped datagrams",
    async () => {
      await sendUdp(udp, datagram, datagram, datagram);
      return agent.problems.some((text) => /^\d+ syslog datagrams were dropped/.test(text));
    },
    60_000,
  );
  sender.destroy();
  assert.equal(await agent.stop(), 1);
  const [, dropped] = /(\d+) datagrams dropped/.exec(agent.results.at(-1) ?? "") ?? [];
  assert.ok(Number(dropped) > 0, agent.results.at(-1));
});
