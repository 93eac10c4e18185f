import { parseArgs } from "node:util";

const usage = `Usage: fleetlog doctor [--json]

Looks at Redis, PostgreSQL, Nginx and every program once: lists the problems and how to fix them. Of what npm start runs
in this folder, or of what DATABASE_URL and REDIS_URL name; while nothing runs, of what a start needs.

Exit code: 0 nothing is wrong, 1 something is, 2 wrong arguments.
`;

/** Parses the command line; exits for --help and invalid options. */
export function readOptions(): { readonly json: boolean } {
  try {
    const { values } = parseArgs({
      options: { json: { type: "boolean", default: false }, help: { type: "boolean", short: "h" } },
    });
    if (!values.help) return values;
    process.stdout.write(usage);
    process.exit(0);
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${usage}`);
    process.exit(2);
  }
}
