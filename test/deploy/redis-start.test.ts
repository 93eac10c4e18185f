import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { execa } from "execa";
import { Redis } from "ioredis";
import { findBinary } from "#dev/binaries.ts";
import { projectFolder } from "#dev/folders.ts";
import { freePort } from "#dev/free-port.ts";
import { ensureRedisUsers, redisUserNames } from "#dev/redis-users.ts";
import { waitFor } from "#test/support/wait-for.ts";

// What Compose and Kubernetes start Redis with; the image's redis-server is the one of this machine.

const script = join(projectFolder, "deploy/redis/start-redis.sh");

test("Redis starts with the users of users.acl, with passwords known only by their hashes", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "fleetlog-redis-start-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const { passwords, aclFile } = await ensureRedisUsers(folder);
  const part = await findBinary("redis");
  const port = await freePort();
  const variables = redisUserNames.map((name) => [`REDIS_${name.toUpperCase()}_PASSWORD`, passwords[name]]);
  const redis = spawn("/bin/sh", [script, "--port", String(port), "--dir", folder, "--save", ""], {
    env: {
      ...part.env,
      PATH: `${dirname(part.command)}:${process.env.PATH}`,
      TMPDIR: folder,
      ...(Object.fromEntries(variables) as Record<string, string>),
    },
    stdio: "ignore",
  });
  t.after(async () => {
    redis.kill("SIGKILL");
    if (redis.exitCode === null && redis.signalCode === null) await once(redis, "exit");
  });
  const written = join(folder, "users.acl");
  for (const name of redisUserNames) {
    const client = new Redis(`redis://${name}:${passwords[name]}@127.0.0.1:${port}`);
    client.on("error", () => {}); // it is starting
    t.after(() => client.disconnect());
    await waitFor(`the user ${name}`, async () => (await client.ping()) === "PONG");
    if (name !== "admin") await assert.rejects(client.flushall(), /NOPERM/);
  }
  assert.equal(
    readFileSync(written, "utf8"),
    readFileSync(aclFile, "utf8"),
    "the same rules as with npm start",
  );
  assert.equal(statSync(written).mode & 0o077, 0);
  for (const password of Object.values(passwords)) {
    assert(!readFileSync(written, "utf8").includes(password));
    assert(!redis.spawnargs.join(" ").includes(password));
  }
});

test("a missing password is named, and nothing starts", async () => {
  const { exitCode, stderr } = await execa("/bin/sh", [script], {
    env: { REDIS_ADMIN_PASSWORD: "x" },
    extendEnv: false,
    reject: false,
  });
  assert.equal(exitCode, 1);
  assert.match(stderr, /REDIS_SERVER_PASSWORD is not set/);
});
