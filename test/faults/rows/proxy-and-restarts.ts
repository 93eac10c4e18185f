import { setTimeout as sleep } from "node:timers/promises";
import { type Evidence, type Fault, type Scene, words } from "../fault.ts";
import { Fleet } from "../fleet.ts";

// What operators do on an ordinary day, under load: reloads, other settings of the proxy, restarts of everything.

export const proxyAndRestartRows: readonly Fault[] = [
  {
    name: "nginx-reload",
    title: "Nginx reloaded 20 times",
    runsFull: 10,
    async inject({ fixture, fleet, random }) {
      const { broken } = fleet.tally;
      for (let reload = 0; reload < 20; reload += 1) {
        await fixture.reloadNginx();
        await sleep(50 + random.below(150));
      }
      await sleep(1_200); // until the last old workers have let go of their streams
      return () => words(fleet.tally.broken - broken, "streams and calls broken");
    },
  },
  {
    name: "nginx-keepalive-timeout",
    title: "Nginx with keepalive_timeout 1s, devices that rest longer",
    runsFull: 5,
    inject: (scene) =>
      withNginx(scene, (text) => text.replaceAll("keepalive_timeout 10m;", "keepalive_timeout 1s;"), {
        restMs: 1_300,
      }),
  },
  {
    name: "nginx-keepalive-requests",
    title: "Nginx with keepalive_requests 10",
    runsFull: 5,
    inject: (scene) =>
      withNginx(scene, (text) => text.replaceAll(/keepalive_requests \d+;/g, "keepalive_requests 10;"), {
        restMs: 10,
      }),
  },
  {
    name: "rolling-restart",
    title: "SIGTERM and restart of every process, one after the other",
    runsFull: 10,
    async inject({ fixture, fleet }) {
      const { servers, consumers, gateway } = fixture.system;
      const programs = [...servers, ...consumers, gateway];
      for (const program of programs) {
        await program.stop();
        await program.start();
      }
      await fixture.redis.stop();
      await fixture.reviveRedis();
      await fixture.postgres.stop();
      await fixture.revivePostgres();
      await fixture.reloadNginx();
      const { broken, later } = fleet.tally;
      return () =>
        words(broken + (later.get(14) ?? 0), `interruptions felt, ${programs.length + 2} restarts`);
    },
  },
];

/** Runs a second fleet, whose devices rest between their batches, while Nginx has other settings. */
async function withNginx(
  { fixture, prefix, journal, secrets, random, lasting, program }: Scene,
  edit: (configuration: string) => string,
  { restMs }: { readonly restMs: number },
): Promise<Evidence> {
  let original = "";
  await fixture.reloadNginx((text) => edit((original = text)));
  await sleep(1_200); // the old workers are gone, and with them the old settings
  const { deviceGrpc, deviceHttp } = fixture.hops;
  const opened = () => deviceGrpc.opened + deviceHttp.opened;
  const openedBefore = opened();
  const resting = new Fleet({
    prefix: `${prefix}resting.`,
    seed: random.below(2 ** 31),
    journal,
    secrets,
    grpc: deviceGrpc.address,
    http: `http://${deviceHttp.address}`,
    pauseMs: (random) => restMs + random.below(300),
    program,
  });
  const devices = resting.connections; // HTTP/1.1 shares the connections of the first fleet
  try {
    await sleep(lasting(4, 8));
    await resting.stop();
  } finally {
    resting.abandon();
    await fixture.reloadNginx(() => original);
  }
  const again = opened() - openedBefore - devices;
  return () => words(again, "connections opened again");
}
