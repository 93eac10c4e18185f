import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Redis } from "ioredis";
import { freePort } from "#dev/free-port.ts";
import { type RunningRedis, startRedis } from "#dev/redis.ts";
import { ensureRedisUsers, type RedisUserName, type RedisUsers } from "#dev/redis-users.ts";
import { waitFor } from "./wait-for.ts";

const mastersCount = 3;
const slotsCount = 16_384;

/** After this long without a response a node counts as failed, and its replica takes over. */
const nodeTimeoutMs = 1_000;

/** A real Redis Cluster on loopback: three masters, each with a replica, and Fleetlog's settings and users. */
export class RedisCluster {
  readonly nodes: readonly ClusterNode[];
  readonly #users: RedisUsers;
  readonly #stack: AsyncDisposableStack;

  static async start(): Promise<RedisCluster> {
    await using started = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "fleetlog-cluster-"));
    started.defer(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }));
    const users = await ensureRedisUsers(folder);
    const nodes: ClusterNode[] = [];
    for (let number = 1; number <= 2 * mastersCount; number += 1) {
      nodes.push(started.use(await ClusterNode.start(join(folder, `node-${number}`), users)));
    }
    await becomeOne(nodes);
    return new RedisCluster(nodes, users, started.move());
  }

  private constructor(nodes: readonly ClusterNode[], users: RedisUsers, stack: AsyncDisposableStack) {
    this.nodes = nodes;
    this.#users = users;
    this.#stack = stack;
  }

  /** What a program gets as REDIS_URL: three of the nodes. */
  urlFor(user: RedisUserName): string {
    return this.nodes
      .slice(0, mastersCount)
      .map(({ server }) => server.urlFor(user))
      .join(",");
  }

  /** The node that holds a key. */
  async masterOf(key: string): Promise<ClusterNode> {
    return await waitFor(`a master for ${key}`, async () => {
      for (const node of this.nodes.filter(({ isAlive }) => isAlive)) {
        const slot = await node.admin.cluster("KEYSLOT", key);
        const ranges = await node.admin.cluster("SLOTS");
        const [, , master] = ranges.find(([first, last]) => first <= slot && slot <= last) ?? [];
        const found = this.nodes.find(({ id }) => id === master?.[2]);
        if (found?.isAlive) return found;
      }
      return undefined;
    });
  }

  /** Moves the slot of a key, with all that is in it, to another master, as an operator who reshards does. */
  async moveSlot(key: string, to: ClusterNode): Promise<void> {
    const from = await this.masterOf(key);
    const slot = await from.admin.cluster("KEYSLOT", key);
    await to.admin.cluster("SETSLOT", slot, "IMPORTING", from.id);
    await from.admin.cluster("SETSLOT", slot, "MIGRATING", to.id);
    const { admin } = this.#users.passwords;
    // Programs may add a key of the slot, such as what backlog.ts notes, until it has moved.
    for (let keys = await keysIn(from, slot); keys.length > 0; keys = await keysIn(from, slot)) {
      const how = ["", 0, 10_000, "AUTH2", "admin", admin, "KEYS", ...keys];
      await from.admin.call("MIGRATE", "127.0.0.1", to.server.port, ...how);
    }
    for (const node of [to, from]) await node.admin.cluster("SETSLOT", slot, "NODE", to.id);
  }

  [Symbol.asyncDispose](): PromiseLike<void> {
    return this.#stack.disposeAsync();
  }
}

export class ClusterNode {
  readonly server: RunningRedis;
  readonly admin: Redis;
  /** Its name in the cluster. */
  readonly id: string;
  isAlive = true;

  static async start(folder: string, users: RedisUsers): Promise<ClusterNode> {
    const settings = {
      "cluster-enabled": "yes",
      "cluster-port": String(await freePort()),
      "cluster-node-timeout": String(nodeTimeoutMs),
      // The other shards go on while one has no master.
      "cluster-require-full-coverage": "no",
      masteruser: "admin",
      masterauth: users.passwords.admin,
    };
    const server = await startRedis(folder, settings, users);
    const admin = new Redis(server.url);
    admin.on("error", () => {}); // the test kills it
    return new ClusterNode(server, admin, await admin.cluster("MYID"));
  }

  private constructor(server: RunningRedis, admin: Redis, id: string) {
    this.server = server;
    this.admin = admin;
    this.id = id;
  }

  async kill(): Promise<void> {
    this.isAlive = false;
    this.admin.disconnect();
    this.server.child.kill();
    await this.server.child.exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.admin.disconnect();
    await this.server.stop();
  }
}

/** Makes one cluster of them, the first half masters, and waits until it is whole. */
async function becomeOne(nodes: readonly ClusterNode[]): Promise<void> {
  const [first, ...others] = nodes as [ClusterNode, ...ClusterNode[]];
  for (const { admin, server } of others) {
    const busPort = (await admin.config("GET", "cluster-port"))[1]!;
    await first.admin.cluster("MEET", "127.0.0.1", server.port, Number(busPort));
  }
  const everywhere = (what: string, isTrue: (info: string) => boolean) =>
    waitFor(what, async () => {
      const infos = await Promise.all(nodes.map(({ admin }) => admin.cluster("INFO")));
      return infos.every(isTrue);
    });
  await everywhere("the nodes to know each other", (info) =>
    info.includes(`cluster_known_nodes:${nodes.length}`),
  );
  const masters = nodes.slice(0, mastersCount);
  for (const [index, { admin }] of masters.entries()) {
    const slotAt = (part: number) => Math.floor((slotsCount * part) / mastersCount);
    await admin.call("CLUSTER", "ADDSLOTSRANGE", slotAt(index), slotAt(index + 1) - 1);
  }
  for (const [index, master] of masters.entries()) {
    const replica = nodes[mastersCount + index]!;
    await waitFor("a replica", () => replica.admin.cluster("REPLICATE", master.id));
  }
  await everywhere("the cluster to be whole", (info) => info.includes("cluster_state:ok"));
  await waitFor("the replicas to follow", async () => {
    const roles = await Promise.all(nodes.slice(mastersCount).map(({ admin }) => admin.info("replication")));
    return roles.every((role) => role.includes("master_link_status:up"));
  });
}

function keysIn({ admin }: ClusterNode, slot: number): Promise<string[]> {
  return admin.cluster("GETKEYSINSLOT", slot, 100);
}
