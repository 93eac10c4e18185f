import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { execa } from "execa";
import { Pool } from "pg";
import { limits } from "#batch/limits.ts";
import { projectFolder } from "#dev/folders.ts";
import { javaClassPath, rustPrograms, whyNoProgram } from "./support/built-clients.ts";
import { goClient, whyNoGo } from "./support/go-client.ts";
import { pythonClient, whyNoPython } from "./support/python-client.ts";
import { startSystem, type TestSystem } from "./support/system.ts";
import { waitFor } from "./support/wait-for.ts";

// What a device can rely on, whatever generated its client: every client × every behaviour, as docs/PROTOCOLS.md has it.
// A client is a program of test/clients/ that takes ADDRESS DEVICE BEHAVIOUR and prints what it saw as JSON.

interface Behaviour {
  /** The last line that the client prints. */
  readonly prints: Readonly<Record<string, unknown>>;
  /** Records stored in the end, each once. */
  readonly stored: number;
}

const batchesOfGzip = 11;
const behaviours: Readonly<Record<string, Behaviour>> = {
  unary: { prints: { accepted: 3 }, stored: 3 },
  pipelined: { prints: { acks: 1_000, in_order: true }, stored: 1_000 },
  deadline: { prints: { code: 4, accepted: 1 }, stored: 1 },
  cancel: { prints: { code: 1, acks: 50 }, stored: 50 },
  gzip: { prints: { accepted: batchesOfGzip * 100 }, stored: batchesOfGzip * 100 },
  again: { prints: { accepted: [10, 10, 10] }, stored: 10 },
  reencoded: { prints: { accepted: [10, 10] }, stored: 10 },
  invalid: {
    prints: {
      code: 3,
      field: "batch.device_id",
      description: 'batch.device_id is "a b": only A-Z a-z 0-9 . _ : - are allowed',
      stream: [3, "batch.device_id", 1],
    },
    stored: 1,
  },
  limits: { prints: { records_max: limits.recordsMax, has_time: true }, stored: 0 },
};

interface ClientKind {
  readonly name: string;
  readonly skip: string | undefined;
  /** Builds it if needed, and returns its command and first arguments. */
  readonly command: () => Promise<Command>;
}

type Command = readonly [program: string, ...args: string[]];

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

const [noGo, noPython, noRust, noJava] = await Promise.all([
  whyNoGo(),
  whyNoPython(),
  whyNoProgram("cargo"),
  whyNoProgram("mvn"),
]);
const goBehave = async (client: string) => [(await goClient("go-behave"))("client"), client] as const;
const nodeBehave = async (client: string) =>
  [process.execPath, join(projectFolder, "test/clients/node/behave.ts"), client] as const;
const kinds: readonly ClientKind[] = [
  ...["connect-node", "connect-node-grpc", "connect-node-grpc-web"].map((name) => ({
    name,
    skip: undefined,
    command: () => nodeBehave(name),
  })),
  ...["grpc-go", "connect-go"].map((name) => ({ name, skip: noGo, command: () => goBehave(name) })),
  { name: "grpcio", skip: noPython, command: () => pythonClient("python-behave") },
  { name: "tonic", skip: noRust, command: async () => [(await rustPrograms())("behave")] },
  {
    name: "grpc-java",
    skip: noJava,
    command: async () => ["java", "-XX:TieredStopAtLevel=1", "-cp", await javaClassPath(), "Behave"],
  },
];

const clients = kinds.map((kind) => ({ ...kind, command: once(kind.command) }));

/** The first run after a change compiles the client. */
const timeout = 900_000;

let system: TestSystem;
let database: Pool;
before(async () => {
  system = await startSystem({ serverEnv: [{}, { GRPC_FAST_PATH: "off" }] });
  database = new Pool({ connectionString: system.databaseUrl });
});
after(async () => {
  await database?.end();
  await system?.[Symbol.asyncDispose]();
});

for (const client of clients) {
  describe(client.name, { skip: client.skip ?? false, concurrency: 4 }, () => {
    for (const [behaviour, { prints, stored }] of Object.entries(behaviours)) {
      test(behaviour, { timeout }, async () => {
        const deviceId = `${client.name}.${behaviour}`;
        assert.deepEqual(await run(client, deviceId, behaviour), prints);
        await storedOnce(deviceId, stored);
      });
    }
  });
}

test("moved: every client continues on another stream when servers stop while it sends", {
  timeout,
}, async () => {
  const able = clients.filter(({ skip }) => skip === undefined);
  await Promise.all(able.map(({ command }) => command()));
  const stops = new AbortController();
  const stopping = stopServersByTurns(stops.signal);
  try {
    await Promise.all(
      able.map(async (client) => {
        const { left, reconnects } = await run(client, `${client.name}.moved`, "moved");
        assert.equal(left, 0);
        assert.ok(Number(reconnects) > 0, `${client.name} never reconnected`);
      }),
    );
  } finally {
    stops.abort();
    await stopping;
  }
  for (const { name } of able) await storedOnce(`${name}.moved`, 400);
});

test("docs/PROTOCOLS.md has a row for each client and a column for each behaviour", async () => {
  const page = await readFile(join(projectFolder, "docs/PROTOCOLS.md"), "utf8");
  for (const word of [...clients.map(({ name }) => name), ...Object.keys(behaviours), "moved"])
    assert.ok(page.includes(`\`${word}\``), word);
});

/** Runs a client, and returns what it prints. */
async function run(
  { command }: ClientKind,
  deviceId: string,
  behaviour: string,
): Promise<Record<string, unknown>> {
  const [program, ...args] = await command();
  const { stdout } = await execa(program, [...args, system.grpcAddress, deviceId, behaviour], {
    timeout: 120_000,
  });
  return JSON.parse(stdout) as Record<string, unknown>;
}

/** The other server takes the streams of the one that stops, and asks its own to move a moment later. */
async function stopServersByTurns(signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const server of system.servers) {
      await server.stop();
      await server.start();
      await sleep(300);
    }
  }
}

async function storedOnce(deviceId: string, count: number): Promise<void> {
  const select = async () => {
    const { rows } = await database.query<{ rows: number; different: number; typed: number }>(
      `select count(*)::int as rows, count(distinct (sequence, message))::int as different,
              count(*) filter (where attributes = jsonb_build_object('zone', 'north', 'ok', true, 'ratio', 0.5, 'count', -sequence))::int as typed
         from logs where device_id = $1 and session_id = 'boot-1'`,
      [deviceId],
    );
    return rows[0]!;
  };
  await waitFor(`${count} records of ${deviceId}`, async () => (await select()).rows >= count, 60_000);
  await settled(deviceId);
  assert.deepEqual(await select(), { rows: count, different: count, typed: count });
}

/** Resolves when a batch that the device sends now is stored: those that it sent before are settled then. */
async function settled(deviceId: string): Promise<void> {
  const batch = { deviceId, sessionId: "end", sequence: "1", records: [{ message: "end" }] };
  const response = await fetch(`${system.httpUrl}/fleetlog.v1.IngestService/PushLogs`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ batch }),
  });
  assert.equal(response.status, 200);
  await waitFor(`the last batch of ${deviceId}`, async () => {
    const { rowCount } = await database.query(
      "select from logs where device_id = $1 and session_id = 'end'",
      [deviceId],
    );
    return rowCount === 1;
  });
}
