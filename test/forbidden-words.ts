/** A word that this project once used in a way of its own, and what the field says instead. */
export interface ForbiddenWord {
  readonly word: RegExp;
  readonly instead: string;
  /** Beginnings of the paths that still have it; each goes when its files are rewritten. */
  readonly notYet?: readonly string[];
}

/** Checked in code, tests, protos, docs, and in what is deployed. docs/GLOSSARY.md defines the words to use. */
export const forbiddenWords: readonly ForbiddenWord[] = [
  { word: /poison/gi, instead: "malformed entry", notYet: ["docs/"] },
  { word: /upkeep|housekeeping/gi, instead: "maintenance" },
  { word: /sign of life/gi, instead: "heartbeat" },
  { word: /\bbeats?\b/gi, instead: "heartbeat", notYet: ["server/", "test/"] },
  { word: /\bdeaf\b/gi, instead: "noop", notYet: ["client/", "server/"] },
  { word: /\bintake\b/gi, instead: "ingest", notYet: ["bench/", "server/"] },
  {
    word: /wish/gi,
    instead: "request, params; subscription for report_committed",
    notYet: ["client/", "gateway/", "server/", "test/"],
  },
  {
    word: /verdict/gi,
    instead: "outcome in code, acknowledgement on the wire",
    notYet: ["bench/", "client/", "server/", "test/"],
  },
  {
    word: /\bfaces?\b/gi,
    instead: "transport; listener where it listens",
    notYet: ["bench/", "gateway/", "server/", "test/"],
  },
  {
    word: /stretch/gi,
    instead: "range: IdRange, DeviceRange, LineRange, …",
    notYet: ["bench/", "client/", "gateway/"],
  },
  { word: /under way/gi, instead: "in flight", notYet: ["bench/", "client/", "server/", "test/"] },
  { word: /\bin hand\b/gi, instead: "in flight, being stored", notYet: ["gateway/"] },
  { word: /\blives on\b/gi, instead: "stays open, continues", notYet: ["bench/"] },
  {
    word: /by itself/gi,
    instead: "on its own, automatically; or nothing",
    notYet: ["bench/", "client/", "dashboard/", "dev/", "gateway/", "server/", "test/"],
  },
  {
    word: /\bso many\b/gi,
    instead: 'the number, or "more than this many"',
    notYet: ["bench/", "client/", "dashboard/", "gateway/", "server/", "test/"],
  },
  {
    word: /\b(some|any)body\b/gi,
    instead: "a client, another user, an operator: who it is",
    notYet: ["bench/", "client/", "dev/", "gateway/", "server/", "test/"],
  },
  {
    word: /\bnobody\b/gi,
    instead: "no client, no consumer: who it is not",
    notYet: ["bench/", "client/", "dashboard/", "dev/", "docs/", "gateway/", "server/", "test/"],
  },
  {
    word: /\bwho(so)?ever\b/gi,
    instead: "the client, the caller: who it is",
    notYet: ["client/", "dashboard/", "dev/", "gateway/", "server/", "test/"],
  },
  { word: /\bcannot be told\b/gi, instead: "is unknown", notYet: ["client/", "docs/", "test/"] },
  { word: /\bapart by (commas|spaces)\b/gi, instead: "comma-separated" },
  { word: /\bmend(s|ed|ing)?\b/gi, instead: "fix, repair, format" },
  {
    word: /\btold\b/gi,
    instead: "sent, reported, logged",
    notYet: ["bench/", "client/", "dashboard/", "dev/", "docs/", "gateway/", "server/", "test/"],
  },
  { word: /\blane\b/gi, instead: "semaphore", notYet: ["gateway/", "test/"] },
  { word: /\bis away\b/gi, instead: "is unreachable" },
  { word: /\bfor ever\b/gi, instead: "forever" },
  {
    word: /\bwhat is wrong\b/gi,
    instead: "the problem, or the reason",
    notYet: ["bench/", "doctor/", "gateway/", "server/", "test/"],
  },
  { word: /\bpushes back\b/gi, instead: "applies backpressure" },
];
