import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

/** The indented block of docs/SENDING.md that has this text, without its indent. */
export function sendingBlock(text: string): string {
  const guide = readFileSync(join(projectFolder, "docs/SENDING.md"), "utf8");
  const blocks = guide.match(/(?:^ {4}.*\n|^\n(?= {4}))+/gm) ?? [];
  const found = blocks.find((block) => block.includes(text));
  if (found === undefined) throw new Error(`docs/SENDING.md has no block with ${text}`);
  return found.replaceAll(/^ {4}/gm, "");
}
