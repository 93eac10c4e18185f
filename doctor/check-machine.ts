import { statfs } from "node:fs/promises";
import { type Finding, fail, formatBytes, ok, warn } from "./finding.ts";

const nodeMin = [24, 17] as const;

/** The Node that this runs on; the programs run on the same. */
export function checkNode(version = process.versions.node): Finding {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  if (major > nodeMin[0] || (major === nodeMin[0] && minor >= nodeMin[1])) return ok("node.version", version);
  const fix = `Use Node ${nodeMin.join(".")} or later: earlier versions have known bugs that let one client crash a program.`;
  return major < nodeMin[0] ? fail("node.version", version, fix) : warn("node.version", version, fix);
}

/** The free space on the disk of `path`. */
export async function checkDisk(path: string): Promise<Finding> {
  const check = `disk ${path}`;
  const { bavail, bsize, blocks } = await statfs(path);
  const [free, share] = [bavail * bsize, bavail / blocks];
  const found = `${formatBytes(free)} free, ${Math.floor(share * 100)} %`;
  const fix =
    "Free disk space: see FleetlogDiskSpaceLow in docs/operations/runbooks.md. Programs that write to a full disk stop.";
  if (free < 2 ** 29 || share < 0.03) return fail(check, found, fix);
  return share < 0.15 ? warn(check, found, fix) : ok(check, found);
}
