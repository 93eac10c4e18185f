import { listMasters, type StreamRedis } from "./connection.ts";

interface Memory {
  readonly usedBytes: number;
  /** maxmemory, at which Redis refuses batches; 0 for no limit. */
  readonly bytesMax: number;
}

/** Reads the memory that Redis uses and may use; in a cluster, of the fullest node. Throws when a node does not answer. */
export async function readMemory(redis: StreamRedis): Promise<Memory> {
  const nodes = await Promise.all(listMasters(redis).map(async (node) => read(await node.info("memory"))));
  const share = ({ usedBytes, bytesMax }: Memory) => (bytesMax === 0 ? 0 : usedBytes / bytesMax);
  return nodes.reduce((fullest, node) => (share(node) > share(fullest) ? node : fullest));
}

function read(text: string): Memory {
  const number = (name: string) => {
    const [, digits] = new RegExp(`^${name}:(\\d+)\\r?$`, "m").exec(text) ?? [];
    if (digits === undefined) throw new Error(`Redis: INFO memory has no ${name}`);
    return Number(digits);
  };
  return { usedBytes: number("used_memory"), bytesMax: number("maxmemory") };
}
