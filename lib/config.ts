import { z } from "zod";

/** The environment a program was started with; only a program's `main.ts` reads `process.env`. */
export type Env = Readonly<Record<string, string | undefined>>;

/** Thrown by {@link readEnv}: one line per bad variable, with the value seen and the form wanted. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`configuration: ${problems.length} problem(s)\n${problems.map((line) => `  ${line}`).join("\n")}`);
    this.problems = problems;
  }
}

/**
 * Checks the variables named in `shape` and returns them, typed and frozen. An empty variable counts as
 * absent, because Compose passes unset ones as "". Throws one {@link ConfigError} that lists every problem.
 */
export function readEnv<Shape extends z.ZodRawShape>(
  shape: Shape,
  env: Env,
): Readonly<z.output<z.ZodObject<Shape>>> {
  observers.get(env)?.(shape);
  const seen = Object.fromEntries(Object.keys(shape).map((name) => [name, env[name] || undefined]));
  const result = z.object(shape).safeParse(seen);
  if (result.success) return Object.freeze(result.data);
  throw new ConfigError(
    result.error.issues.map((issue) => {
      const name = String(issue.path[0]);
      return `${name}=${show(seen[name])}: ${issue.message}`;
    }),
  );
}

const observers = new WeakMap<Env, (shape: z.ZodRawShape) => void>();

/** The schema of every variable that a `readConfig` reads, by name; for the documentation and its tests. */
export function readShape(readConfig: (env: Env) => unknown): Readonly<z.ZodRawShape> {
  const env: Env = {};
  let seen: z.ZodRawShape = {};
  observers.set(env, (shape) => {
    seen = shape;
  });
  try {
    readConfig(env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error; // expected: the required variables are missing
  }
  return seen;
}

/** A whole number of `min` to `max`, both allowed. */
export function integer(min: number, max: number) {
  const form = `expected an integer from ${min} to ${max}`;
  return z
    .string(form)
    .regex(/^-?\d{1,15}$/, form)
    .transform(Number)
    .refine((value) => value >= min && value <= max, form);
}

/** `host:port`, the port 0 meaning any free one. */
export function listenAddress() {
  const form = 'expected host:port, such as "127.0.0.1:9001"';
  return z
    .string(form)
    .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, form)
    .transform((value) => {
      const colon = value.lastIndexOf(":");
      return { host: value.slice(0, colon).replace(/^\[|\]$/g, ""), port: Number(value.slice(colon + 1)) };
    })
    .refine(({ port }) => port <= 65_535, form);
}

/** A URL of one of the given schemes, such as `["postgres", "postgresql"]`. */
export function url(schemes: readonly string[]) {
  const form = `expected a URL starting with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`;
  return z
    .string(form)
    .refine((value) => URL.canParse(value) && schemes.includes(new URL(value).protocol.slice(0, -1)), form);
}

/** One URL as {@link url}, or several with commas between them. */
export function urls(schemes: readonly string[]) {
  const one = url(schemes);
  return z
    .string(`expected one or more URLs, comma-separated`)
    .transform((value) => value.split(","))
    .pipe(z.array(one).max(100));
}

/** One of the given words. */
export function word<const Word extends string>(...words: readonly [Word, ...Word[]]) {
  return z.enum(words, `expected one of ${words.join(", ")}`);
}

/** The log level every program reads from `LOG_LEVEL`. */
export const logLevel = word("fatal", "error", "warn", "info", "debug", "trace", "silent").prefault("info");

/** Never prints the password inside a URL. */
function show(value: string | undefined): string {
  if (value === undefined) return "(not set)";
  return JSON.stringify(value.replaceAll(/(:\/\/[^:@/]*:)[^@/]*@/g, "$1***@"));
}
