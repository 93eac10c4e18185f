import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { cp, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Client } from "pg";
import { checkBinaries } from "#doctor/check-binaries.ts";
import { findBinary, refreshBinaries } from "./binaries.ts";
import { canRunInitdb, startPostgres } from "./postgres.ts";
import { postgresBinaries } from "./postgres-user.ts";
import { startRedis } from "./redis.ts";

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "binaries-"));
});
after(() => rm(folder, { recursive: true, force: true }));

test("finds a Redis and an Nginx that run, however many ask at once", async () => {
  const found = await Promise.all([
    findBinary("redis"),
    findBinary("nginx"),
    findBinary("redis"),
    findBinary("nginx"),
  ]);
  for (const [index, { command, env }] of found.entries()) {
    const { status } = spawnSync(command, [index % 2 === 0 ? "--version" : "-v"], { env: { ...env } });
    assert.equal(status, 0, command);
  }
});

test("keeps the data of Redis and PostgreSQL from one start to the next", async () => {
  for (const start of [1, 2]) {
    const postgres = await startPostgres(folder);
    const redis = await startRedis(folder);
    const client = new Client({ connectionString: postgres.url });
    await client.connect();
    await client.query("CREATE TABLE IF NOT EXISTS starts (number int)");
    await client.query("INSERT INTO starts VALUES ($1)", [start]);
    assert.equal((await client.query("SELECT FROM starts")).rowCount, start);
    await client.end();
    redis.child.kill();
    postgres.child.kill(); // even without a proper stop
    await Promise.all([redis.child.exited, postgres.child.exited]);
  }
});

test("recognises folders from which initdb cannot run: those that a shell expands", async () => {
  let at = join(folder, "native");
  await cp(dirname(await postgresBinaries(undefined)), at, { recursive: true, verbatimSymlinks: true });
  for (const name of ["it's ü 日本 & ; #", "a $HOME", 'a "b', "a `id`"]) {
    const odd = join(folder, name);
    await rename(at, odd);
    at = odd;
    const { stderr } = spawnSync(join(odd, "bin/initdb"), ["--show", "-D", join(folder, "none")], {
      encoding: "utf8",
    });
    assert.equal(canRunInitdb(join(odd, "bin")), !stderr.includes('program "postgres" is needed'), name);
  }
});

test("says how to fix a data folder that PostgreSQL cannot use", async () => {
  await rm(join(folder, "postgres/global/pg_control"));
  await assert.rejects(
    startPostgres(folder),
    /PostgreSQL ended during start.*pg_control.*is as it was.*FLEETLOG_FOLDER=… npm start/s,
  );
  await rm(join(folder, "postgres.password"));
  await assert.rejects(startPostgres(folder), /postgres\.password is missing/);
  await rm(join(folder, "postgres/PG_VERSION"));
  await assert.rejects(
    startPostgres(folder),
    /is there and no data folder of PostgreSQL.*FLEETLOG_FOLDER=… npm start/s,
  );
});

test("fetched binaries are reported with version and age, and replaced by ones that run", {
  skip: !existsSync("/usr/bin/apt-get"),
}, async () => {
  const binaries = join(folder, "binaries");
  await refreshBinaries(binaries);
  const findings = await checkBinaries(binaries);
  assert.deepEqual(findings.map(({ check }) => check).toSorted(), ["binaries.nginx", "binaries.redis"]);
  for (const { state, found } of findings) {
    assert.equal(state, "ok", found);
    assert.match(found, /(redis-server|nginx) \d.*downloaded 0 days ago/);
  }
  const note = join(binaries, "redis/packages.json");
  await writeFile(
    note,
    JSON.stringify({ fetchedAt: "2020-01-01T00:00:00Z", versions: { "redis-server": "5:7.0.1-1" } }),
  );
  const old = (await checkBinaries(binaries)).find(({ check }) => check === "binaries.redis");
  assert.equal(old?.state, "warn");
  assert.match(old.found, /redis-server 5:7\.0\.1-1, downloaded \d{4,} days ago/);
  assert.match(old.fix ?? "", /npm start -- --renew-binaries/);
  await rm(note);
  const unknown = (await checkBinaries(binaries)).find(({ check }) => check === "binaries.redis");
  assert.equal(unknown?.state, "warn", "fetched before versions were noted");

  await refreshBinaries(binaries);
  assert.equal((await checkBinaries(binaries)).find(({ check }) => check === "binaries.redis")?.state, "ok");
  assert.ok(existsSync(join(binaries, "redis/usr/bin/redis-server")));
  assert.deepEqual((await readdir(binaries)).toSorted(), ["nginx", "redis"], "nothing is left beside them");
});
