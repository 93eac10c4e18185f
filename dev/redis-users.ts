import { createHash, randomBytes } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { projectFolder } from "./folders.ts";

/** The users of deploy/redis/users.acl. */
export const redisUserNames = ["admin", "server", "consumer", "gateway", "doctor"] as const;
export type RedisUserName = (typeof redisUserNames)[number];

/** The users of one Redis. */
export interface RedisUsers {
  readonly aclFile: string;
  readonly passwords: Readonly<Record<RedisUserName, string>>;
}

/**
 * The users with passwords of their own, random and kept in `folder` for later starts; only its owner may read them. The
 * file for Redis has their SHA-256, and is written anew, so that a newer version's rules hold.
 */
export async function ensureRedisUsers(folder: string): Promise<RedisUsers> {
  const passwords = await ensurePasswords(join(folder, "redis-passwords.json"));
  const template = await readFile(join(projectFolder, "deploy/redis/users.acl"), "utf8");
  const rules = redisUserNames.reduce(
    (text, name) => text.replace(`%${name}%`, `#${sha256(passwords[name])}`),
    template.replace(/^#.*\n/gm, ""),
  );
  const aclFile = join(folder, "redis-users.acl");
  await writeFile(aclFile, rules, { mode: 0o600 });
  return { aclFile, passwords };
}

/** The URL with this user, instead of the one that it names. */
export function asRedisUser(url: string, name: RedisUserName, { passwords }: RedisUsers): string {
  const changed = new URL(url);
  changed.username = name;
  changed.password = passwords[name];
  return changed.href;
}

async function ensurePasswords(file: string): Promise<RedisUsers["passwords"]> {
  try {
    return JSON.parse(await readFile(file, "utf8")) as RedisUsers["passwords"];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  const generated = redisUserNames.map((name) => [name, randomBytes(16).toString("hex")]);
  const passwords = Object.fromEntries(generated) as RedisUsers["passwords"];
  await writeFile(file, JSON.stringify(passwords), { mode: 0o600 });
  return passwords;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}
