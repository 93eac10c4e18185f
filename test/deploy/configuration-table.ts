import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { z } from "zod";
import { readConfig as readConsumerConfig } from "#consumer/config.ts";
import { projectFolder } from "#dev/folders.ts";
import { readConfig as readDoctorConfig } from "#doctor/config.ts";
import { readConfig as readGatewayConfig } from "#gateway/config.ts";
import { type Env, readShape } from "#lib/config.ts";
import { readConfig as readNginxConfig } from "#nginx/config.ts";
import { readConfig as readMigrateConfig } from "#postgres/config.ts";
import { readConfig as readServerConfig } from "#server/config.ts";
import { meanings } from "./configuration-meanings.ts";

// `node test/deploy/configuration-table.ts` writes the tables of docs/operations/configure.md from the schemas that the programs
// read their environment with. configuration-meanings.ts explains each variable.

export const guideFile = join(projectFolder, "docs/operations/configure.md");

const programs: readonly { title: string; readConfig: (env: Env) => unknown }[] = [
  { title: "Server (`server/main.ts`)", readConfig: readServerConfig },
  { title: "Consumer (`consumer/main.ts`)", readConfig: readConsumerConfig },
  { title: "Gateway (`gateway/main.ts`)", readConfig: readGatewayConfig },
  { title: "Migrations (`postgres/main.ts`)", readConfig: readMigrateConfig },
  { title: "Doctor (`doctor/main.ts`)", readConfig: readDoctorConfig },
  { title: "Nginx in a container (`nginx/main.ts` writes its nginx.conf)", readConfig: readNginxConfig },
];

/** Of every program, as Markdown. Throws when a variable has no meaning here, or a meaning no variable. */
function configurationTables(): string {
  const used = new Set<string>();
  const tables = programs.map(({ title, readConfig }) => {
    const rows = Object.entries(readShape(readConfig)).map(([name, schema]) => {
      used.add(name);
      const meaning = meanings[name];
      if (meaning === undefined) throw new Error(`configuration-meanings.ts: say what ${name} means`);
      return `| \`${name}\` | ${readDefault(name, schema as z.ZodType)} | ${describeForm(schema as z.ZodType)} | ${meaning} |`;
    });
    return [`### ${title}`, "", "| variable | default | form | meaning |", "|---|---|---|---|", ...rows].join(
      "\n",
    );
  });
  const unused = Object.keys(meanings).filter((name) => !used.has(name));
  if (unused.length > 0) throw new Error(`configuration-meanings.ts: no program reads ${unused.join(", ")}`);
  return tables.join("\n\n");
}

const [begin, end] = ["<!-- configuration: begin -->\n", "<!-- configuration: end -->\n"];

/** The guide with the tables as they should be. */
export function withTables(guide: string): string {
  const [from, to] = [guide.indexOf(begin), guide.indexOf(end)];
  if (from < 0 || to < from)
    throw new Error(`docs/operations/configure.md: no ${begin.trim()} … ${end.trim()}`);
  return `${guide.slice(0, from + begin.length)}\n${configurationTables()}\n\n${guide.slice(to)}`;
}

function readDefault(name: string, schema: z.ZodType): string {
  if (name === "CONSUMER_NAME") return "host name and process id";
  const { type, defaultValue } = schema.def as { type: string; defaultValue?: string | number | object };
  if (type === "optional") return "–";
  if (type !== "default" && type !== "prefault") return "**required**";
  const isAddress = typeof defaultValue === "object" && defaultValue !== null;
  return `\`${isAddress ? Object.values(defaultValue).join(":") : defaultValue}\``;
}

/** What the schema says to a value that can be of no form. */
function describeForm(schema: z.ZodType): string {
  const message = schema.safeParse('" \0').error?.issues[0]?.message ?? "";
  return message
    .replace(/^expected (the |a |an )?/, "")
    .replaceAll("|", "\\|")
    .replace(/, such as (.*)$/, ", such as `$1`")
    .replaceAll(/`"(.*?)"(.*)`/g, "`$1`$2");
}

if (import.meta.main) writeFileSync(guideFile, withTables(readFileSync(guideFile, "utf8")));
