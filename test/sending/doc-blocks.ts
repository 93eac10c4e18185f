import { readFileSync } from "node:fs";
import { join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

/** The indented blocks of one section of docs/SENDING.md, without their indentation. */
export function docBlocks(heading: string): readonly string[] {
  const text = readFileSync(join(projectFolder, "docs/SENDING.md"), "utf8");
  const section = text.split(/^(?=##+ )/m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`docs/SENDING.md has no section ${heading}`);
  const blocks = section.match(/(?:^ {4}.*\n(?:\n(?= {4}))?)+/gm) ?? [];
  return blocks.map((block) => block.replaceAll(/^ {4}/gm, ""));
}
