/** A word that this project once used in a way of its own, and what the field says instead. */
export interface ForbiddenWord {
  readonly word: RegExp;
  readonly instead: string;
  /** A file where the word means something else. */
  readonly except?: string;
}

/** Checked in code, tests, protos, docs, and in what is deployed. docs/GLOSSARY.md defines the words to use. */
export const forbiddenWords: readonly ForbiddenWord[] = [
  { word: /poison/gi, instead: "malformed entry" },
  { word: /upkeep|housekeeping/gi, instead: "maintenance" },
  { word: /sign of life/gi, instead: "heartbeat" },
  { word: /\bbeats?\b/gi, instead: "heartbeat" },
  { word: /\bdeaf\b/gi, instead: "noop" },
  { word: /\bintake\b/gi, instead: "ingest" },
  {
    word: /wish/gi,
    instead: "request, params; subscription for report_committed",
  },
  {
    word: /verdict/gi,
    instead: "outcome in code, acknowledgement on the wire",
  },
  {
    word: /\bfaces?\b/gi,
    instead: "transport; listener where it listens",
  },
  {
    word: /stretch/gi,
    instead: "range: IdRange, DeviceRange, LineRange, …",
  },
  { word: /under way/gi, instead: "in flight" },
  { word: /\bin hand\b/gi, instead: "in flight, being stored" },
  { word: /\blives on\b/gi, instead: "stays open, continues" },
  {
    word: /by itself/gi,
    instead: "on its own, automatically; or nothing",
  },
  {
    word: /\bso many\b/gi,
    instead: 'the number, or "more than this many"',
  },
  {
    word: /\b(some|any)body\b/gi,
    instead: "a client, another user, an operator: who it is",
  },
  {
    word: /\bnobody\b/gi,
    instead: "no client, no consumer: who it is not",
    except: "dev/postgres-user.ts", // the Unix user
  },
  {
    word: /\bwho(so)?ever\b/gi,
    instead: "the client, the caller: who it is",
  },
  { word: /\bcannot be told\b/gi, instead: "is unknown" },
  { word: /\bapart by (commas|spaces)\b/gi, instead: "comma-separated" },
  { word: /\bmend(s|ed|ing)?\b/gi, instead: "fix, repair, format" },
  {
    word: /\btold\b/gi,
    instead: "sent, reported, logged",
  },
  { word: /\blane\b/gi, instead: "semaphore" },
  { word: /\bis away\b/gi, instead: "is unreachable" },
  { word: /\bfor ever\b/gi, instead: "forever" },
  {
    word: /\bwhat is wrong\b/gi,
    instead: "the problem, or the reason",
  },
  { word: /\bpushes back\b/gi, instead: "applies backpressure" },
];
