import { waitFor } from "#test/support/wait-for.ts";
import { type Fault, words } from "../fault.ts";
import type { Hops } from "../fixture.ts";
import type { Hop, Link } from "../hop.ts";

// Each exchange cut after each of its bytes: run 0 cuts after bytes 0, 1, 2, …, the next run goes on where it ended, so
// that the full run has been through them all. A cut counts the bytes of both directions, from the beginning of the
// exchange; the next exchange, on whatever connection, is cut one byte later.

interface Exchange {
  readonly name: string;
  readonly title: string;
  readonly hops: (hops: Hops) => readonly Hop[];
  /** What a piece from the client contains at the beginning of the exchange; undefined: a new connection. */
  readonly beginsWith?: string;
  /** How long it is, about: the full run cuts within this many bytes. */
  readonly bytes: number;
}

const exchanges: readonly Exchange[] = [
  {
    name: "device",
    title: "device → Nginx, from the connect on",
    hops: (all) => [all.deviceGrpc, all.deviceHttp],
    bytes: 2_000,
  },
  {
    name: "xadd",
    title: "server → Redis, XADD",
    hops: (all) => [all.serversRedis],
    beginsWith: "xadd",
    bytes: 2_000,
  },
  {
    name: "read",
    title: "consumer → Redis, XREADGROUP",
    hops: (all) => all.consumersRedis,
    beginsWith: "xreadgroup",
    bytes: 2_000,
  },
  {
    name: "xack",
    title: "consumer → Redis, XACK",
    hops: (all) => all.consumersRedis,
    beginsWith: "xack",
    bytes: 320,
  },
  {
    name: "transaction",
    title: "consumer → PostgreSQL, BEGIN to COMMIT",
    hops: (all) => all.consumersPostgres,
    beginsWith: "begin\0",
    bytes: 12_000,
  },
];

const cutsPerRun = 40;

export const cutRows: readonly Fault[] = exchanges.map(({ name, title, hops, beginsWith, bytes }) => ({
  name: `cut-${name}`,
  title: `${title}: cut after byte N, ${cutsPerRun} N per run`,
  runsFull: Math.ceil(bytes / cutsPerRun),
  async inject({ fixture, run, lasting }) {
    let next = run * cutsPerRun;
    const end = next + cutsPerRun;
    let cuts = 0;
    const left = new WeakMap<Link, number>();
    const known = new WeakSet<Link>();
    for (const hop of hops(fixture.hops)) {
      let wholeExchanges = 1;
      hop.tamper(async ({ link, direction, bytes, pass }) => {
        const isNew = !known.has(link);
        known.add(link);
        const begins = beginsWith === undefined ? isNew : bytes.includes(beginsWith);
        if (direction === "up" && begins && !left.has(link) && next < end) {
          // Never two in a row: who fails again and again pauses longer and longer.
          if (wholeExchanges > 0) left.set(link, next++);
          wholeExchanges = beginsWith === undefined || wholeExchanges === 0 ? 1 : 0;
        }
        const passing = left.get(link);
        if (passing === undefined || bytes.length <= passing) {
          if (passing !== undefined) left.set(link, passing - bytes.length);
          await pass(bytes);
          return;
        }
        await pass(bytes.subarray(0, passing));
        cuts += 1;
        link.cut();
      });
    }
    if (beginsWith === undefined) for (const hop of hops(fixture.hops)) hop.cutAll();
    await waitFor(`${cutsPerRun} cuts`, () => cuts >= cutsPerRun, lasting(30, 60)).catch((error: Error) => {
      if (cuts < cutsPerRun / 2) throw error; // the rest of them may wait for an exchange that does not come
    });
    for (const hop of hops(fixture.hops)) hop.tamper(undefined);
    return () => words(cuts, `cuts, after byte ${run * cutsPerRun} and on`);
  },
}));
