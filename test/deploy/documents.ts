import { globSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { projectFolder } from "#dev/folders.ts";

export interface MarkdownDocument {
  /** Path from the project's folder. */
  readonly path: string;
  readonly text: string;
}

/** Every Markdown file that is written by hand. */
export const documents: readonly MarkdownDocument[] = [
  "*.md",
  "docs/**/*.md",
  "deploy/**/*.md",
  "clients/*/*.md",
  "dev/client-package/*.md",
].flatMap((pattern) =>
  globSync(pattern, { cwd: projectFolder })
    .sort()
    .map((path) => ({ path, text: readFileSync(join(projectFolder, path), "utf8") })),
);

/** Links to files of the project, their paths from the project's folder; `anchor` is empty for a whole file. */
export function localLinks({ path, text }: MarkdownDocument): { target: string; anchor: string }[] {
  return [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)]+))?\)/g)].map(
    ([, target = "", anchor = ""]) => ({
      target: target === "" ? path : join(dirname(path), target),
      anchor,
    }),
  );
}

/** The anchors of its headings, as GitHub makes them. */
export function anchors(text: string): ReadonlySet<string> {
  const headings = [...text.matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}_\s-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

/** Files and folders of the project that it names in code: `batch/scan.ts`, "#client/device-log.ts". */
export function namedPaths(text: string): string[] {
  const folders = readdirSync(projectFolder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith("."))
    .map(({ name }) => name);
  const topFolders = new Set(folders);
  return [...text.matchAll(/[`"]#?([\w.-]+)(\/[\w.@/-]+)[`"]/g)]
    .filter(([, top = ""]) => topFolders.has(top))
    .map(([, top, rest]) => `${top}${rest}`);
}
